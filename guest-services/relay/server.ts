/**
 * DNS questions from the infrastructure namespace, asked in the host's own network: for resolvers that listen on its loopback. Whoever
 * is on the other end is taken for hostile: all it can do here is ask, so many questions at a time, of the host's resolvers.
 */
import { createServer, type Server, type Socket } from "node:net"
import type { Clock } from "#lib/clock.ts"
import type { Resolver } from "../dns/host-resolvers.ts"
import { answerTo, errorTo, framed, maxQueryBytes, rcodes, readQuery, unframer } from "../dns/messages.ts"
import { askForWhole } from "../dns/resolver.ts"
import { upstreamAsker } from "../dns/upstream.ts"
import { bucketPerSource } from "../limits.ts"

export interface RelayOptions {
  readonly clock: Clock
  /** Whom the host asks, now. */
  readonly resolvers: () => readonly Resolver[]
}

const limits = {
  /** One is used; the others let a new guest-services come before the kernel has closed the old one's. */
  connections: 4,
  /** On their way to resolvers, together. */
  questions: 512,
  questionsPerSecond: 2_000,
  /** Answers that the other end does not take. */
  unreadBytes: 4 << 20,
  idleMs: 60_000,
}

/** A whole zone is no answer to a guest. */
const transfers = new Set(["AXFR", "IXFR"])
const recursionDesired = 0x01

/** Not listening yet. */
export function relayServer({ clock, resolvers }: RelayOptions): Server {
  const bucket = bucketPerSource(limits.questionsPerSecond, limits.questionsPerSecond, clock)
  const ask = upstreamAsker(clock)
  let open = 0

  async function answer(message: Buffer): Promise<Buffer | undefined> {
    const query = readQuery(message)
    if (query.kind === "noise") return undefined
    if (query.kind === "malformed") return errorTo(message, query.rcode)
    if (transfers.has(query.question.type)) return answerTo(query.packet, rcodes.refused)
    if (open >= limits.questions || !bucket.take("")) return answerTo(query.packet, rcodes.failure)
    open++
    try {
      const upstreams = resolvers().map((resolver) => ({
        name: resolver.address,
        ask: (asked: Buffer, _way: "udp" | "tcp", signal: AbortSignal) => askForWhole(asked, resolver, signal),
      }))
      return (await ask(forced(message), "udp", upstreams)) ?? answerTo(query.packet, rcodes.failure)
    } finally {
      open--
    }
  }

  const server = createServer((socket) => serve(socket, answer))
  server.maxConnections = limits.connections
  return server
}

/** Without this wish a resolver tells what is in its cache: what the host has looked up of late. */
function forced(message: Buffer): Buffer {
  const copy = Buffer.from(message)
  copy[2] = (copy[2] ?? 0) | recursionDesired
  return copy
}

function serve(socket: Socket, answer: (message: Buffer) => Promise<Buffer | undefined>): void {
  const messagesIn = unframer(maxQueryBytes)
  socket.on("error", () => socket.destroy())
  socket.setTimeout(limits.idleMs, () => socket.destroy())
  const one = async (message: Buffer) => {
    const bytes = await answer(message)
    // An answer, or no message at all: what comes after it cannot be trusted to be one either.
    if (bytes === undefined || socket.writableLength > limits.unreadBytes) socket.destroy()
    else if (socket.writable) socket.write(framed(bytes))
  }
  socket.on("data", (chunk: Buffer) => {
    try {
      for (const message of messagesIn(chunk)) one(message).catch(() => socket.destroy())
    } catch {
      socket.destroy()
    }
  })
}
