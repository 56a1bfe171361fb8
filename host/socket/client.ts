/** The control plane's side of the control socket. Trusts the root side, which is ours. */
import { connect, type Socket } from "node:net"
import type {
  Assignment,
  HostConnection,
  HostFacts,
  HostMemory,
  Observed,
  ResourceTrace,
  SerialAnswer,
  SerialEndpoint,
  WarmAnswer,
} from "../protocol/types.ts"
import { systemTimer, within } from "../reconcile/deadline.ts"
import { lineLimits, readLines } from "./lines.ts"

/** A sync is sent in lines of about this size. */
const partBytes = 256 << 10

export interface HostSocket extends HostConnection {
  /** Once, when the connection is gone: by `close`, by the host, or replaced by a newer one. Connecting again is the caller's. */
  onClose(listener: () => void): void
}

/** Connect to the socket at `path`. Rejects when nobody listens. Each request is given up after `requestMs`. */
export async function connectHost(path: string, requestMs = 90_000): Promise<HostSocket> {
  const socket = await connected(path)
  const waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >()
  const observers: ((observed: Observed) => void)[] = []
  const closers: (() => void)[] = []
  let next = 1

  readLines(socket, { ...lineLimits, maxBytes: 64 << 20 }, receive, () => socket.destroy())
  socket.on("error", () => socket.destroy())
  socket.once("close", () => {
    for (const { reject } of waiting.values()) reject(new Error("the connection to the host is closed"))
    waiting.clear()
    for (const listener of closers) listener()
  })

  function receive(value: unknown): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by our own server
    const line = value as { request?: number; result?: unknown; error?: string; observed?: Observed }
    if (line.observed) for (const observer of observers) observer(line.observed)
    const caller = waiting.get(line.request ?? 0)
    waiting.delete(line.request ?? 0)
    if (line.error === undefined) caller?.resolve(line.result)
    else caller?.reject(new Error(line.error))
  }

  async function ask<T>(verb: string, body: object): Promise<T> {
    if (socket.destroyed) throw new Error("the connection to the host is closed")
    const request = next++
    const answered = new Promise<unknown>((resolve, reject) => waiting.set(request, { resolve, reject }))
    socket.write(`${JSON.stringify({ request, verb, body })}\n`)
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the answer to this verb, from our own server
      return (await within(`the host's ${verb}`, requestMs, systemTimer, answered)) as T
    } finally {
      waiting.delete(request)
    }
  }

  return {
    facts: () => ask<HostFacts>("facts", {}),
    processes: () => ask<Awaited<ReturnType<HostConnection["processes"]>>>("processes", {}),
    memory: () => ask<HostMemory>("memory", {}),
    async sync(assignments) {
      const parts = inParts(assignments)
      const answers = parts.map((part, index) =>
        ask<null>("sync", { first: index === 0, last: index === parts.length - 1, assignments: part }),
      )
      await Promise.all(answers)
    },
    async assign(resource, generation, spec) {
      await ask<null>("assign", spec ? { resource, generation, spec } : { resource, generation })
    },
    onObserved: (listener) => void observers.push(listener),
    consoleOutput: async (guest, maxBytes) => Buffer.from(await ask<string>("console", { guest, maxBytes }), "base64"),
    screenshot: async (guest, wake) => Buffer.from(await ask<string>("screenshot", { guest, wake }), "base64"),
    interrupt: async (guest) => void (await ask<null>("interrupt", { guest })),
    serialKey: (guest, key) => ask<SerialAnswer>("serial-key", { guest, key }),
    serialEndpoint: () => ask<SerialEndpoint | null>("serial-endpoint", {}),
    shutdown: async (guests) => void (await ask<null>("shutdown", { guests })),
    trace: (resource) => ask<ResourceTrace>("trace", { resource }),
    warm: (kind) => ask<WarmAnswer>("warm", kind),
    async close() {
      if (socket.destroyed) return
      await new Promise<void>((resolve) => {
        socket.once("close", () => resolve())
        socket.destroy()
      })
    },
    onClose: (listener) => void (socket.destroyed ? listener() : closers.push(listener)),
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.off("error", reject)
      resolve(socket)
    })
    socket.once("error", reject)
  })
}

function inParts(assignments: readonly Assignment[]): readonly (readonly Assignment[])[] {
  const parts: Assignment[][] = [[]]
  let sizeBytes = 0
  for (const assignment of assignments) {
    sizeBytes += JSON.stringify(assignment).length
    if (sizeBytes > partBytes) {
      parts.push([])
      sizeBytes = 0
    }
    parts.at(-1)!.push(assignment)
  }
  return parts
}
