/**
 * The serial port of a running machine, both ways. Its output goes to a ring in QEMU's memory at other times (console-log.ts): for as long as
 * somebody is at the port, a socket to us takes the ring's place, by QMP's `chardev-change`, so that a machine of any age has a console, and a guest
 * never sees a difference. Of what is read here a part is dropped where its reader is slow, and nothing of the log; the guest waits for nobody.
 */
import { chownSync, rmSync, statSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import path from "node:path"
import { Duplex } from "node:stream"
import { consoleRingBytes, serialChardev } from "./argv.ts"
import { keepConsole } from "./console-log.ts"
import type { Machine } from "./machine.ts"

const answerMs = 5000
/** What a reader may leave unread before it misses something. */
const unreadBytes = 1 << 20
/** A guest that prints more in a second is made to wait for the next one: 90 times what a real port does. */
const mostBytesASecond = 1 << 20

export interface SerialPort {
  /** Ends when the machine does, and gives the port back when it is destroyed. */
  readonly stream: Duplex
  /** Resolves when the ring is back, or the machine gone. */
  readonly left: Promise<void>
}

/** What is in the ring is put into the log first. Rejects when QEMU does not do it; the port is then as it was. */
export async function openSerialPort(machine: Machine, directory: string): Promise<SerialPort> {
  const sockets = path.join(directory, "sockets")
  const socket = await connected(machine, sockets)
  const stream = duplex(socket, directory)
  const left = new Promise<void>((resolve) =>
    socket.once("close", () => {
      stream.destroy()
      // It may be the machine that ended.
      keepInRing(machine).then(
        () => resolve(),
        () => resolve(),
      )
    }),
  )
  return { stream, left }
}

/** Output to the ring, as before anybody was at the port. */
export const keepInRing = (machine: Machine): Promise<unknown> =>
  machine.query("chardev-change", {
    id: serialChardev,
    backend: { type: "ringbuf", data: { size: consoleRingBytes } },
  })

/** Whoever was at the port when an earlier process of ours was killed: nothing is kept until the ring is back. */
export const isNoRing = (error: unknown): boolean => error instanceof Error && /not a ringbuf/i.test(error.message)

/** QEMU comes to a socket of ours, since its folder is its own, where what it calls a socket may lead anywhere. */
async function connected(machine: Machine, sockets: string): Promise<Socket> {
  const name = "serial.sock"
  const file = path.join(sockets, name)
  rmSync(file, { recursive: true, force: true })
  const server = createServer({ pauseOnConnect: true })
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  promise.catch(() => {})
  const timer = setTimeout(() => reject(new Error(`the serial port does not answer in ${answerMs} ms`)), answerMs)
  try {
    await new Promise<void>((done, failed) => server.once("error", failed).listen(file, done))
    server.once("connection", (socket) => {
      socket.on("error", () => {})
      resolve(socket)
      // Nobody else has a say in it.
      server.close()
    })
    const { uid } = statSync(sockets)
    chownSync(file, uid, uid)
    await machine.drain().catch(() => {})
    const addr = { type: "unix", data: { path: name } }
    await machine.query("chardev-change", {
      id: serialChardev,
      backend: { type: "socket", data: { addr, server: false } },
    })
    return await promise
  } catch (error) {
    promise.then(
      (socket) => socket.destroy(),
      () => {},
    )
    await keepInRing(machine).catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
    server.close()
    rmSync(file, { force: true })
  }
}

function duplex(socket: Socket, directory: string): Duplex {
  const stream = new Duplex({
    readableHighWaterMark: unreadBytes,
    read() {},
    write(bytes: Buffer, _encoding, done) {
      // Called back when QEMU has taken it: a guest that does not read holds back who types, and nobody else.
      socket.write(bytes, (error) => done(error))
    },
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  stream.on("error", () => {})
  let taken = 0
  const refill = setInterval(() => {
    taken = 0
    socket.resume()
  }, 1000)
  refill.unref()
  socket.once("close", () => clearInterval(refill))
  socket.on("data", (bytes: Buffer) => {
    keepConsole(directory, bytes)
    if (stream.readableLength < unreadBytes) stream.push(bytes)
    taken += bytes.length
    if (taken >= mostBytesASecond) socket.pause()
  })
  // Once it is told what was said.
  socket.resume()
  return stream
}
