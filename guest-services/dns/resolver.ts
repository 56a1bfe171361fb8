/** One question to one resolver, by UDP or TCP, from a port and with an id of its own. */
import { randomInt } from "node:crypto"
import { createSocket } from "node:dgram"
import { connect, isIPv4 } from "node:net"
import type { Resolver } from "./host-resolvers.ts"
import { belongs, framed, isTruncated, questionOf, unframer, withId } from "./messages.ts"

export type Way = "udp" | "tcp"

/** Gives the answer under the question's own id; rejects when there is none before `signal` ends. */
export async function askResolver(message: Buffer, way: Way, resolver: Resolver, signal: AbortSignal): Promise<Buffer> {
  const question = questionOf(message)
  if (question === undefined) throw new Error("not a question")
  const id = randomInt(65_536)
  const asked: Asked = { query: withId(message, id), id, question, resolver, signal }
  return withId(await (way === "udp" ? overUdp(asked) : overTcp(asked)), message.readUInt16BE(0))
}

/** By UDP, and by TCP when that did not bring the whole answer. A part is better than none. */
export async function askForWhole(message: Buffer, resolver: Resolver, signal: AbortSignal): Promise<Buffer> {
  const answer = await askResolver(message, "udp", resolver, signal)
  if (!isTruncated(answer)) return answer
  return askResolver(message, "tcp", resolver, signal).catch(() => answer)
}

interface Asked {
  readonly query: Buffer
  readonly id: number
  readonly question: Buffer
  readonly resolver: Resolver
  readonly signal: AbortSignal
}

function overUdp({ query, id, question, resolver, signal }: Asked): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const socket = createSocket(isIPv4(resolver.address) ? "udp4" : "udp6")
  const give = () => reject(new Error("no answer"))
  signal.addEventListener("abort", give)
  socket.on("error", reject)
  socket.on("message", (answer) => {
    if (belongs(answer, id, question)) resolve(answer)
  })
  // Connected: the kernel hands us only what comes from the one asked.
  socket.connect(resolver.port, resolver.address, () => socket.send(query))
  if (signal.aborted) give()
  return promise.finally(() => {
    signal.removeEventListener("abort", give)
    socket.close()
  })
}

function overTcp({ query, id, question, resolver, signal }: Asked): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const socket = connect({ host: resolver.address, port: resolver.port })
  const give = () => reject(new Error("no answer"))
  signal.addEventListener("abort", give)
  const messagesIn = unframer(65_535)
  socket.on("error", reject).on("end", () => reject(new Error("closed")))
  socket.on("data", (chunk: Buffer) => {
    const [answer] = messagesIn(chunk)
    if (answer === undefined) return
    if (belongs(answer, id, question)) resolve(answer)
    else reject(new Error("not an answer to the question"))
  })
  socket.write(framed(query))
  if (signal.aborted) give()
  return promise.finally(() => {
    signal.removeEventListener("abort", give)
    socket.destroy()
  })
}
