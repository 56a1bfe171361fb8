/** Questions that are not ours go to the resolvers of the host, each from a port and with an id of its own. */
import { randomInt } from "node:crypto"
import { createSocket } from "node:dgram"
import { readFileSync, statSync } from "node:fs"
import { connect, isIPv4 } from "node:net"
import type { Clock } from "#lib/clock.ts"
import { questionOf } from "./messages.ts"

export interface Resolver {
  readonly address: string
  readonly port: number
}

const tryMs = 2_000

/** systemd-resolved's stub on the host's loopback is out of reach here; this file names the servers behind it. */
const files = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"]

function resolversIn(text: string): Resolver[] {
  const addresses = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, address = ""]) => address)
  return addresses
    .filter((address) => isIPv4(address) && !address.startsWith("127."))
    .map((address) => ({ address, port: 53 }))
}

/** The resolvers to ask, in order: "auto" reads the host's configuration, again when it changed, else "1.1.1.1,9.9.9.9:53". */
export function upstreamResolvers(setting: string, clock: Clock, from = files): () => readonly Resolver[] {
  if (setting !== "auto") {
    const fixed = setting.split(",").map((entry) => {
      const [address = "", port = "53"] = entry.split(":")
      if (!isIPv4(address) || !/^[0-9]{1,5}$/.test(port)) throw new Error(`not a resolver: ${entry}`)
      return { address, port: Number(port) }
    })
    return () => fixed
  }
  let [checkedMs, stamp] = [Number.NEGATIVE_INFINITY, ""]
  let resolvers: readonly Resolver[] = []
  return () => {
    if (clock.monotonicMs() - checkedMs < 2_000) return resolvers
    checkedMs = clock.monotonicMs()
    const now = from.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0).join()
    if (now === stamp) return resolvers
    stamp = now
    for (const file of from) {
      resolvers = resolversIn(readOrEmpty(file))
      if (resolvers.length > 0) break
    }
    return resolvers
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(id, 0)
  return copy
}

/** True when `answer` is one, to this question, under this id. Case is the asker's game: servers may or may not keep it. */
function belongs(answer: Buffer, id: number, question: Buffer): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id || (answer.readUInt16BE(2) & 0x8000) === 0) return false
  const theirs = questionOf(answer)
  return theirs !== undefined && theirs.toString("latin1").toLowerCase() === question.toString("latin1").toLowerCase()
}

function overUdp(query: Buffer, id: number, question: Buffer, resolver: Resolver): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const socket = createSocket("udp4")
  const timer = setTimeout(() => reject(new Error("no answer")), tryMs)
  socket.on("error", reject)
  socket.on("message", (answer) => {
    if (belongs(answer, id, question)) resolve(answer)
  })
  // Connected: the kernel hands us only what comes from the one asked.
  socket.connect(resolver.port, resolver.address, () => socket.send(query))
  return promise.finally(() => {
    clearTimeout(timer)
    socket.close()
  })
}

function overTcp(query: Buffer, id: number, question: Buffer, resolver: Resolver): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const socket = connect({ host: resolver.address, port: resolver.port })
  const timer = setTimeout(() => reject(new Error("no answer")), tryMs)
  let received = Buffer.alloc(0)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(query.length)
  socket.on("error", reject).on("end", () => reject(new Error("closed")))
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
    const answer = received.subarray(2, 2 + received.readUInt16BE(0))
    if (belongs(answer, id, question)) resolve(answer)
    else reject(new Error("not an answer to the question"))
  })
  socket.end(Buffer.concat([length, query]))
  return promise.finally(() => {
    clearTimeout(timer)
    socket.destroy()
  })
}

/**
 * Ask the resolvers in turn, two at most. Gives the answer under the query's own id, or undefined when none answers in
 * time (2 s each).
 */
export async function askUpstream(
  message: Buffer,
  way: "udp" | "tcp",
  resolvers: readonly Resolver[],
): Promise<Buffer | undefined> {
  const question = questionOf(message)
  if (question === undefined) return undefined
  for (const resolver of resolvers.slice(0, 2)) {
    const id = randomInt(65_536)
    const ask = way === "udp" ? overUdp : overTcp
    const answer = await ask(withId(message, id), id, question, resolver).catch(() => undefined)
    if (answer !== undefined) return withId(answer, message.readUInt16BE(0))
  }
  return undefined
}
