import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Clock } from "#lib/clock.ts"
import type { Documents } from "../documents.ts"
import { bucketPerSource, gaugePerSource } from "../limits.ts"
import { failure, type MetadataAnswer, respond } from "./respond.ts"
import type { Tokens } from "./tokens.ts"

export interface MetadataServerOptions {
  readonly documents: Documents
  readonly tokens: Tokens
  readonly clock: Clock
  /** Set how many hops the rest of a connection's packets may pass; does nothing where that cannot be. */
  readonly setHopLimit: (socket: Socket, hops: number) => void
}

/** Per guest: open connections, requests a second. A request's body is never read: none is ever wanted. */
const limits = { connectionsPerSource: 64, connections: 4096, requestsPerSecond: 400, burst: 1000, bodyBytes: 1024 }
const normalHops = 64

export const sourceOf = (socket: Socket) => (socket.remoteAddress ?? "").replace(/^::ffff:/, "")

const hasBody = ({ headers }: IncomingMessage) =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > limits.bodyBytes

function send(response: ServerResponse, answer: MetadataAnswer, method: string, close: boolean): void {
  const length = Buffer.byteLength(answer.body)
  response.writeHead(answer.status, {
    server: "EC2ws",
    ...answer.headers,
    "content-length": length,
    ...(close ? { connection: "close" } : {}),
  })
  response.end(method === "HEAD" ? "" : answer.body)
}

/** The HTTP server of the metadata service, not listening yet. A guest is known by its source address alone. */
export function metadataServer({ documents, tokens, clock, setHopLimit }: MetadataServerOptions): Server {
  const bucket = bucketPerSource(limits.requestsPerSecond, limits.burst, clock)
  const gauge = gaugePerSource(limits.connectionsPerSource, limits.connections)
  const server = createServer(
    {
      maxHeaderSize: 8192,
      requireHostHeader: false,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 15_000,
      connectionsCheckingInterval: 2_000,
    },
    (request, response) => {
      const { method = "", socket } = request
      const source = sourceOf(socket)
      if (!bucket.take(source)) return send(response, failure(503), method, true)
      if (hasBody(request)) return send(response, failure(413), method, true)
      request.resume()
      const document = documents.of(source)
      const answer = respond(
        { method, url: request.url ?? "", headers: request.headers, document, nowMs: clock.wallMs() },
        tokens,
      )
      setHopLimit(socket, answer.hopLimit ?? normalHops)
      send(response, answer, method, false)
    },
  )
  server.maxHeadersCount = 64
  server.on("connection", (socket) => {
    const leave = gauge.enter(sourceOf(socket))
    if (leave === undefined) {
      socket.destroy()
      return
    }
    socket.setTimeout(20_000, () => socket.destroy())
    socket.once("close", leave)
  })
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    else socket.destroy()
  })
  return server
}
