/**
 * A client of the QEMU Machine Protocol over a unix socket: https://www.qemu.org/docs/master/interop/qmp-spec.html
 * A guest that broke out of its machine writes what it likes here, so the answers are hostile input: a line, its
 * depth and the number of lines have limits, and whoever breaks one is cut off.
 */
import { createConnection, type Socket } from "node:net"
import { shortened, timed } from "#lib/trace.ts"

const lineLimitBytes = 1 << 20
const depthLimit = 32
/** Lines in one second. A busy guest sends some tens; a flood is an attack. */
const linesPerSecond = 5000

export type QmpObject = { readonly [name: string]: unknown }

export interface QmpEvent {
  readonly name: string
  readonly data: QmpObject
}

/** The other end does not speak the protocol, or breaks its limits. */
export class QmpViolation extends Error {}

export interface Qmp {
  /** Runs one command. Rejects with QEMU's own message, after `timeoutMs` (5,000), or when the connection ends. */
  execute(command: string, args?: QmpObject, timeoutMs?: number): Promise<unknown>
  /** Resolves when the connection is gone: with why, where we cut it. */
  readonly closed: Promise<Error | undefined>
  close(): void
}

/** Connects and negotiates. Rejects when that takes longer than `timeoutMs`. */
export function connectQmp(path: string, onEvent: (event: QmpEvent) => void, timeoutMs: number): Promise<Qmp> {
  const socket = createConnection(path)
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  const { promise: greeted, resolve: greet, reject: refuse } = Promise.withResolvers<void>()
  const { promise: closed, resolve: finish } = Promise.withResolvers<Error | undefined>()
  let lastId = 0
  let failure: Error | undefined

  const cut = (reason: string) => {
    failure ??= new QmpViolation(`QMP: ${reason}`)
    socket.destroy()
  }
  const receive = (message: QmpObject) => {
    if (isObject(message["QMP"])) return greet()
    if (typeof message["event"] === "string") {
      const data = message["data"]
      return onEvent({ name: message["event"], data: isObject(data) ? data : {} })
    }
    const id = message["id"]
    const call = typeof id === "number" ? waiting.get(id) : undefined
    // An answer that comes after its deadline has no one waiting.
    if (typeof id !== "number" || id < 1 || id > lastId) return cut("answer to nothing asked")
    const error = message["error"]
    if (isObject(error)) call?.reject(new Error(`QMP: ${printable(error["desc"])}`))
    else if ("return" in message) call?.resolve(message["return"])
    else return cut("neither event nor answer")
    waiting.delete(id)
  }
  readLines(socket, receive, cut)

  socket.on("error", (error) => (failure ??= error))
  socket.on("close", () => {
    const why = failure ?? new Error("QMP: connection closed")
    refuse(why)
    for (const call of waiting.values()) call.reject(why)
    waiting.clear()
    finish(failure)
  })

  // Of the arguments only the names of what they are about: others may be the guest's.
  const names = (args: QmpObject = {}) => ["id", "device", "node-name"].flatMap((key) => args[key] ?? []).map(String)
  const execute = (command: string, args?: QmpObject, timeoutMs = 5000) =>
    timed(
      "command",
      () => shortened(["qmp", command, ...names(args)]),
      () => ask(command, args, timeoutMs),
    )
  const ask = (command: string, args: QmpObject | undefined, timeoutMs: number) =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(failure ?? new Error("QMP: connection closed"))
      const id = ++lastId
      const timer = setTimeout(() => {
        waiting.delete(id)
        reject(new Error(`QMP: no answer to ${command} in ${timeoutMs} ms`))
      }, timeoutMs)
      waiting.set(id, {
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      })
      socket.write(JSON.stringify({ execute: command, ...(args && { arguments: args }), id }) + "\n")
    })

  const client: Qmp = { execute, closed, close: () => socket.destroy() }
  const negotiate = async () => {
    const timer = setTimeout(() => cut(`no greeting in ${timeoutMs} ms`), timeoutMs)
    try {
      await greeted
      await execute("qmp_capabilities", undefined, timeoutMs)
      return client
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
  return negotiate()
}

/** Splits what arrives into lines and parses each, within the limits above. */
function readLines(socket: Socket, receive: (message: QmpObject) => void, cut: (reason: string) => void): void {
  let pieces: Buffer[] = []
  let size = 0
  let second = 0
  let lines = 0
  const line = (text: string) => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) [second, lines] = [now, 0]
    if (++lines > linesPerSecond) return cut("too many lines")
    if (depth(text) > depthLimit) return cut("nested too deep")
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      return cut("not JSON")
    }
    if (!isObject(message)) return cut("not an object")
    receive(message)
  }
  socket.on("data", (chunk: Buffer) => {
    for (let start = 0; start < chunk.length && !socket.destroyed;) {
      const newline = chunk.indexOf(10, start)
      const piece = chunk.subarray(start, newline < 0 ? chunk.length : newline)
      start += piece.length + 1
      size += piece.length
      if (size > lineLimitBytes) return cut("line too long")
      pieces.push(piece)
      if (newline < 0) continue
      const text = Buffer.concat(pieces).toString()
      pieces = []
      size = 0
      if (text.trim() !== "") line(text)
    }
  })
}

/** How deep brackets nest outside of strings. */
function depth(text: string): number {
  let now = 0
  let most = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (quoted) {
      if (character === "\\") i++
      else if (character === '"') quoted = false
    } else if (character === '"') quoted = true
    else if (character === "{" || character === "[") most = Math.max(most, ++now)
    else if (character === "}" || character === "]") now--
  }
  return most
}

export const isObject = (value: unknown): value is QmpObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Foreign text as one short line that cannot move a terminal's cursor. */
export const printable = (value: unknown): string =>
  (typeof value === "string" ? value : "unknown error").replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 500)
