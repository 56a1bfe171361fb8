/** The root side of the control socket: nothing reaches the host that was not checked field by field. */
import { chmod, chown, rename, rm } from "node:fs/promises"
import { createServer, type Socket } from "node:net"
import type { Assignment, HostConnection } from "../protocol/types.ts"
import { systemTimer, within } from "../reconcile/deadline.ts"
import { serialKey } from "../serial/server.ts"
import type { Log } from "../types.ts"
import { Invalid, list, oneOf, shape, flag, whole, type Check } from "./checks.ts"
import { lineLimits, readLines } from "./lines.ts"
import { assignment, change, id, warmKind } from "./specs.ts"

/** Of one `sync`, all its parts together. */
const maxSyncBytes = 64 << 20
const maxSyncCount = 100_000
/** A peer that does not read is cut off. */
const maxUnreadBytes = 32 << 20
const verbMs = 60_000

interface Part {
  readonly first: boolean
  readonly last: boolean
  readonly assignments: readonly Assignment[]
}
const part: Check<Part> = shape<Part>({ first: flag, last: flag, assignments: list(assignment, maxSyncCount) })
const empty = shape<object>({})
const traceOf = shape<{ resource: string }>({ resource: id })
const shutdownOf = shape<{ guests: "stop" | "keep" }>({ guests: oneOf("stop", "keep") })
const screenshotOf = shape<{ guest: string; wake: boolean }>({ guest: id, wake: flag })
const interruptOf = shape<{ guest: string }>({ guest: id })
const serialKeyOf = shape<{ guest: string; key: string }>({ guest: id, key: serialKey })
const consoleOf = shape<{ guest: string; maxBytes: number }>({ guest: id, maxBytes: whole(1, 1 << 20) })

/**
 * Serve `host` at `path`, a socket of mode 0600 that belongs to `owner`. One connection at a time: a newer one replaces the older.
 * `close` stops listening and leaves the host as it is.
 */
export async function serveHost(
  host: HostConnection,
  options: {
    readonly path: string
    readonly owner?: { readonly uid: number; readonly gid: number }
    readonly log: Log
    /** Told once the verb `shutdown` is answered; without it the verb is refused. */
    readonly onShutdown?: (guests: "stop" | "keep") => void
  },
): Promise<{ close(): Promise<void> }> {
  const { path, owner, log, onShutdown } = options
  let current: Socket | undefined
  const server = createServer((socket) => {
    current?.destroy()
    current = socket
    converse(host, socket, log, onShutdown)
  })
  host.onObserved((observed) => {
    if (current) send(current, { observed })
  })
  // Born under another name, so that it has its owner and mode before anybody can find it.
  const newborn = `${path}.new`
  await rm(newborn, { force: true })
  const before = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(newborn, resolve))
  } finally {
    process.umask(before)
  }
  await chmod(newborn, 0o600)
  if (owner) await chown(newborn, owner.uid, owner.gid)
  await rename(newborn, path)
  return {
    async close() {
      current?.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      await rm(path, { force: true })
    },
  }
}

function send(socket: Socket, value: unknown): void {
  if (socket.destroyed) return
  socket.write(`${JSON.stringify(value)}\n`)
  if (socket.writableLength > maxUnreadBytes) socket.destroy()
}

function converse(
  host: HostConnection,
  socket: Socket,
  log: Log,
  onShutdown: ((guests: "stop" | "keep") => void) | undefined,
): void {
  /** Undefined: none has begun, or a part of it was refused. A sync that is not whole must never reach the host. */
  let parts: Assignment[] | undefined
  let syncBytes = 0

  async function sync(value: unknown, sizeBytes: number): Promise<void> {
    const before = parts
    parts = undefined
    const { first, last, assignments } = part(value, "sync")
    const whole = first ? [] : before
    if (!whole) throw new Invalid("sync has no beginning")
    syncBytes = first ? sizeBytes : syncBytes + sizeBytes
    if (syncBytes > maxSyncBytes || whole.length + assignments.length > maxSyncCount)
      throw new Invalid("sync is too large")
    whole.push(...assignments)
    if (last) await host.sync(whole)
    else parts = whole
  }

  const verbs = new Map<unknown, (value: unknown, sizeBytes: number) => Promise<unknown>>([
    ["facts", async (value) => (empty(value, "facts"), host.facts())],
    ["processes", async (value) => (empty(value, "processes"), host.processes())],
    [
      "memory",
      async (value) => {
        empty(value, "memory")
        if (!host.memory) throw new Invalid("the verb is not offered")
        return host.memory()
      },
    ],
    [
      "trace",
      async (value) => {
        const { resource } = traceOf(value, "trace")
        if (!host.trace) throw new Invalid("the verb is not offered")
        return host.trace(resource)
      },
    ],
    [
      "warm",
      async (value) => {
        const kind = warmKind(value, "warm")
        if (!host.warm) throw new Invalid("guests of this host always boot: up --warm on")
        return host.warm(kind)
      },
    ],
    ["sync", sync],
    [
      "assign",
      async (value) => {
        const { resource, generation, spec } = change(value, "assign")
        await host.assign(resource, generation, spec)
      },
    ],
    [
      "console",
      async (value) => {
        const { guest, maxBytes } = consoleOf(value, "console")
        return (await host.consoleOutput(guest, maxBytes)).toString("base64")
      },
    ],
    [
      "screenshot",
      async (value) => {
        const { guest, wake } = screenshotOf(value, "screenshot")
        return (await host.screenshot(guest, wake)).toString("base64")
      },
    ],
    [
      "interrupt",
      async (value) => {
        const { guest } = interruptOf(value, "interrupt")
        await host.interrupt(guest)
      },
    ],
    [
      "serial-key",
      async (value) => {
        const { guest, key } = serialKeyOf(value, "serial-key")
        if (!host.serialKey) throw new Invalid("the verb is not offered")
        return host.serialKey(guest, key)
      },
    ],
    [
      "serial-endpoint",
      async (value) => {
        empty(value, "serial-endpoint")
        if (!host.serialEndpoint) throw new Invalid("the verb is not offered")
        return host.serialEndpoint()
      },
    ],
    [
      "shutdown",
      async (value) => {
        const { guests } = shutdownOf(value, "shutdown")
        if (!onShutdown) throw new Invalid("the verb is not offered")
        setImmediate(onShutdown, guests)
      },
    ],
  ])

  async function answer(value: unknown, sizeBytes: number): Promise<void> {
    const { request, verb, body } = envelope(value)
    const serve = verbs.get(verb)
    try {
      if (!serve) throw new Invalid("the verb is unknown")
      const result = await within(String(verb), verbMs, systemTimer, serve(body, sizeBytes))
      send(socket, { request, result: result ?? null })
    } catch (error) {
      send(socket, { request, error: error instanceof Error ? error.message.slice(0, 2_000) : "unknown" })
    }
  }
  socket.on("error", () => socket.destroy())
  readLines(socket, lineLimits, answer, (reason) => {
    log("host: the control connection was closed", { reason })
    socket.destroy()
  })
}

const any: Check<unknown> = (each) => each

/** `{request, verb, body}`; anything else is not of this protocol and ends the connection. */
function envelope(value: unknown): { readonly request: number; readonly verb: unknown; readonly body: unknown } {
  const { request, verb, body } = shape<{ request: number; verb: unknown; body: unknown }>({
    request: whole(0, Number.MAX_SAFE_INTEGER),
    verb: any,
    body: any,
  })(value, "line")
  return { request, verb, body: body ?? {} }
}
