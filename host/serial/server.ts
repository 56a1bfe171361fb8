/**
 * The way of the process that speaks SSH to serial ports: a unix socket that it alone may enter. A connection says in one line whose port it is about
 * and with which key, and is told whether that may be; to open it, everything after that line is the port's bytes, both ways.
 */
import { chmodSync, chownSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Log } from "../types.ts"
import { flag, shape, text, type Check } from "../socket/checks.ts"
import type { SerialSessions } from "./sessions.ts"

/** A line of authorized_keys without its comment. */
export const serialKey = text(/^ssh-[a-z0-9-]+ [A-Za-z0-9+/]+={0,2}$/, 8_192)
const guest = text(/^i-[0-9a-f]{8,30}$/, 32)
interface Question {
  readonly guest: string
  readonly key: string
  readonly open: boolean
}
const question: Check<Question> = shape<Question>({ guest, key: serialKey, open: flag })

const maxLineBytes = 10_240
const lineMs = 5_000
/** What who is at the port has not taken yet; more is lost to them, and to nobody else. */
const maxUnreadBytes = 1 << 20
const maxConnections = 256

/** `owner` is the only user besides root who gets in. `close` ends all sessions. */
export async function serveSerial(
  sessions: SerialSessions,
  options: { readonly path: string; readonly owner: number; readonly log: Log },
): Promise<{ close(): void }> {
  const { path, owner, log } = options
  rmSync(path, { force: true })
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.once("close", () => open.delete(socket)).on("error", () => socket.destroy())
    converse(sessions, socket, log).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error)
      socket.end(`${JSON.stringify({ refused: why.slice(0, 200) })}\n`)
    })
  })
  server.maxConnections = maxConnections
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve))
  chownSync(path, owner, owner)
  chmodSync(path, 0o600)
  return {
    close() {
      for (const socket of open) socket.destroy()
      server.close()
      sessions.close()
    },
  }
}

async function converse(sessions: SerialSessions, socket: Socket, log: Log): Promise<void> {
  const asked = question(JSON.parse(await firstLine(socket)), "the line")
  const { guest: name, key } = asked
  if (!asked.open) {
    socket.end(`${JSON.stringify(sessions.may(name, key) ? { ok: true } : { refused: "not this key now" })}\n`)
    return
  }
  const port = await sessions.open(name, key)
  if (socket.destroyed) return void port.destroy()
  log("serial console: a session begins", { guest: name })
  port.once("close", () => log("serial console: a session ends", { guest: name }))
  socket.write(`${JSON.stringify({ ok: true })}\n`)
  join(socket, port)
}

function join(socket: Socket, port: Duplex): void {
  port.on("data", (bytes: Buffer) => {
    if (socket.writableLength < maxUnreadBytes) socket.write(bytes)
  })
  port.once("close", () => socket.end())
  socket.once("close", () => port.destroy())
  socket.once("end", () => port.destroy())
  socket.on("data", (bytes: Buffer) => {
    if (port.write(bytes)) return
    socket.pause()
    port.once("drain", () => socket.resume())
  })
  port.resume()
  socket.resume()
}

/** What comes after the line stays in the socket. */
function firstLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let line = Buffer.alloc(0)
  const timer = setTimeout(() => reject(new Error(`no line in ${lineMs} ms`)), lineMs)
  const read = (bytes: Buffer) => {
    line = Buffer.concat([line, bytes])
    const end = line.indexOf(10)
    if (end < 0 && line.length <= maxLineBytes) return
    socket.off("data", read).pause()
    if (end < 0 || end > maxLineBytes) return reject(new Error("the line is too long"))
    if (end + 1 < line.length) socket.unshift(line.subarray(end + 1))
    resolve(line.toString("utf8", 0, end))
  }
  socket.on("data", read)
  socket.once("close", () => reject(new Error("nothing was asked")))
  return promise.finally(() => clearTimeout(timer))
}
