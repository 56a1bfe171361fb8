/** Questions for the host's own network: over one connection to the relay's socket, many at a time, each under an id of its own. */
import { randomInt } from "node:crypto"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { setTimeout as delay } from "node:timers/promises"
import { belongs, framed, questionOf, unframer, withId } from "../dns/messages.ts"
import type { Upstream } from "../dns/upstream.ts"

const mostAtATime = 1_024
/** A relay that ended is started again within moments. */
const againMs = 100

interface Waiting {
  readonly question: Buffer
  readonly resolve: (answer: Buffer) => void
  readonly reject: (error: Error) => void
}

interface Connection {
  readonly socket: Socket
  readonly waiting: Map<number, Waiting>
}

export interface RelayClient extends Upstream {
  close(): void
}

/**
 * The relay at `path` as one more to ask. Connects when there is a question, again when the relay was replaced; a question that was
 * on its way then is asked again. Fails at once where there is no relay.
 */
export function relayClient(path: string): RelayClient {
  let connection: Promise<Connection> | undefined

  function connected(): Promise<Connection> {
    if (connection !== undefined) return connection
    const made = (connection = open(path))
    const forget = () => {
      if (connection === made) connection = undefined
    }
    made.then(({ socket }) => (socket.destroyed ? forget() : socket.once("close", forget)), forget)
    return made
  }

  return {
    name: "relay",
    async ask(message, _way, signal) {
      const question = questionOf(message)
      if (question === undefined) throw new Error("not a question")
      for (;;) {
        try {
          return await askOver(await connected(), message, question, signal)
        } catch (error) {
          if (signal.aborted || isAbsent(error)) throw error
          await delay(againMs, undefined, { signal })
        }
      }
    },
    close() {
      connection?.then(({ socket }) => socket.destroy()).catch(() => {})
    },
  }
}

const isAbsent = (error: unknown) => error instanceof Error && "code" in error && error.code === "ENOENT"

async function open(path: string): Promise<Connection> {
  const socket = connect(path)
  await once(socket, "connect")
  const waiting = new Map<number, Waiting>()
  const messagesIn = unframer(65_535)
  socket.on("error", () => socket.destroy())
  socket.on("end", () => socket.destroy())
  socket.on("close", () => {
    for (const { reject } of waiting.values()) reject(new Error("the relay closed"))
  })
  socket.on("data", (chunk: Buffer) => {
    for (const answer of messagesIn(chunk)) {
      const id = answer.length < 2 ? -1 : answer.readUInt16BE(0)
      const asker = waiting.get(id)
      if (asker !== undefined && belongs(answer, id, asker.question)) asker.resolve(answer)
    }
  })
  return { socket, waiting }
}

function askOver({ socket, waiting }: Connection, message: Buffer, question: Buffer, signal: AbortSignal) {
  if (waiting.size >= mostAtATime) throw new Error("too many questions at a time")
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  let id = randomInt(65_536)
  while (waiting.has(id)) id = randomInt(65_536)
  waiting.set(id, { question, resolve, reject })
  const give = () => reject(new Error("no answer"))
  signal.addEventListener("abort", give)
  if (socket.destroyed) reject(new Error("the relay closed"))
  if (signal.aborted) give()
  socket.write(framed(withId(message, id)))
  return promise
    .then((answer) => withId(answer, message.readUInt16BE(0)))
    .finally(() => {
      signal.removeEventListener("abort", give)
      waiting.delete(id)
    })
}
