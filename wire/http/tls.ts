/** TLS beside plain HTTP on the one port: what begins with a TLS record is decrypted first. */
import type { Server } from "node:http"
import type { Socket } from "node:net"
import { createServer, type TLSSocket } from "node:tls"

/** Texts in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface TlsSide {
  /** Connections from now on get this one. */
  renew(certificate: Certificate): void
}

const handshakeByte = 22
const firstByteMs = 10_000

/** Has a server of node:http serve TLS too. Every limit of the server holds for both; a handshake has ten seconds. */
export function serveTls(server: Server, certificate: Certificate): TlsSide {
  const plain = server.listeners("connection") as readonly ((this: Server, socket: Socket) => void)[]
  const secure = createServer({ ...certificate, minVersion: "TLSv1.2", handshakeTimeout: firstByteMs })
  const serve = (socket: Socket): void => plain.forEach((listener) => listener.call(server, socket))
  secure.on("secureConnection", (socket: TLSSocket) => serve(socket))
  secure.on("tlsClientError", (_, socket) => socket.destroy())
  server.removeAllListeners("connection")
  server.on("connection", (socket: Socket) => {
    const waiting = setTimeout(() => socket.destroy(), firstByteMs).unref()
    const broken = (): void => void socket.destroy()
    socket.on("error", broken)
    socket.once("close", () => clearTimeout(waiting))
    socket.once("data", (first: Buffer) => {
      clearTimeout(waiting)
      socket.off("error", broken)
      // Whoever takes the connection over reads from its first byte.
      socket.pause()
      socket.unshift(first)
      if (first[0] === handshakeByte) secure.emit("connection", socket)
      else serve(socket)
      process.nextTick(() => socket.resume())
    })
  })
  return { renew: (next) => secure.setSecureContext({ ...next, minVersion: "TLSv1.2" }) }
}
