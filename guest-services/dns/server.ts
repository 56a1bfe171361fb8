/** The resolver of the guests, over UDP and TCP. A guest is known by its source address; nobody else is answered. */
import { createSocket, type Socket as UdpSocket } from "node:dgram"
import { createServer, type Server, type Socket } from "node:net"
import type { Clock } from "#lib/clock.ts"
import type { Documents } from "../documents.ts"
import { type Bucket, bucketPerSource, gaugePerSource } from "../limits.ts"
import { sourceOf } from "../metadata/server.ts"
import { answerTo, errorTo, fitted, framed, maxQueryBytes, rcodes, readQuery, udpLimit, unframer } from "./messages.ts"
import { type Upstream, upstreamAsker } from "./upstream.ts"
import { answerFromZone, poolOf } from "./zone.ts"

export interface DnsOptions {
  readonly documents: Documents
  readonly clock: Clock
  /** Whom to ask what is not ours to answer, in order. */
  readonly upstreams: () => readonly Upstream[]
  /** Pool of public addresses, "198.18.0.0/20": their names are answered here. */
  readonly publicCidr?: string
}

export interface DnsServer {
  readonly udp: UdpSocket
  readonly tcp: Server
}

/** AWS lets an interface ask 1,024 times a second. */
const limits = {
  queriesPerSecond: 1024,
  burst: 1024,
  forwardedPerSource: 64,
  forwarded: 1024,
  connectionsPerSource: 16,
  connections: 1024,
}

/** Both servers, not listening yet. */
export function dnsServer({ documents, clock, upstreams, publicCidr }: DnsOptions): DnsServer {
  const bucket = bucketPerSource(limits.queriesPerSecond, limits.burst, clock)
  const forwarding = gaugePerSource(limits.forwardedPerSource, limits.forwarded)
  const ask = upstreamAsker(clock)
  const pool = poolOf(publicCidr)

  const answer = async (message: Buffer, source: string, way: "udp" | "tcp"): Promise<Buffer | undefined> => {
    const query = readQuery(message)
    if (query.kind === "noise") return undefined
    if (query.kind === "malformed") return errorTo(message, query.rcode)
    const document = documents.of(source)
    if (document === undefined) return answerTo(query.packet, rcodes.refused)
    const network = documents.network(document.network)
    // As if nobody were there: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html#vpc-dns-support
    if (network?.resolver === "off") return undefined
    const own = answerFromZone(query.question, { domainName: document.domainName, pool, network })
    if (own?.kind === "answers") return answerTo(query.packet, rcodes.ok, own.answers)
    if (own?.kind === "none") return answerTo(query.packet, rcodes.noSuchName)
    const leave = forwarding.enter(source)
    if (leave === undefined) return answerTo(query.packet, rcodes.failure)
    try {
      const found = await ask(message, way, upstreams())
      if (found === undefined) return answerTo(query.packet, rcodes.failure)
      // The relay brings whole answers, whichever way the guest asked.
      return way === "udp" ? fitted(found, udpLimit(query.packet)) : found
    } finally {
      leave()
    }
  }

  const udp = createSocket("udp4")
  udp.on("message", (message, { address, port }) => {
    if (!bucket.take(address)) return
    // A guest that is gone when its answer comes is no error of ours.
    const reply = (bytes: Buffer | undefined) => bytes && udp.send(bytes, port, address, () => {})
    answer(message, address, "udp").then(reply, () => {})
  })
  return { udp, tcp: tcpServer(answer, bucket) }
}

type Answerer = (message: Buffer, source: string, way: "tcp") => Promise<Buffer | undefined>

function tcpServer(answer: Answerer, bucket: Bucket): Server {
  const gauge = gaugePerSource(limits.connectionsPerSource, limits.connections)
  return createServer((socket) => {
    const leave = gauge.enter(sourceOf(socket))
    if (leave === undefined) {
      socket.destroy()
      return
    }
    socket.once("close", leave)
    socket.on("error", () => socket.destroy())
    socket.setTimeout(10_000, () => socket.destroy())
    serve(socket, answer, bucket).then(
      () => socket.end(),
      () => socket.destroy(),
    )
  })
}

/** Messages of one connection, one after the other: what is not read yet stays in the kernel. */
async function serve(socket: Socket, answer: Answerer, bucket: Bucket): Promise<void> {
  const source = sourceOf(socket)
  const messagesIn = unframer(maxQueryBytes)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    for (const message of messagesIn(chunk)) {
      if (!bucket.take(source)) throw new Error("asks too often")
      const bytes = await answer(message, source, "tcp")
      if (bytes === undefined) throw new Error("not a query")
      socket.write(framed(bytes))
    }
  }
}
