/** QEMU's migration as a stream of bytes out of a stopped machine, or into one that waits for it, over a socket in its own folder. */
import { chownSync, rmSync } from "node:fs"
import { createConnection, createServer, type Socket } from "node:net"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Machine } from "./machine.ts"
import { isObject, printable } from "./qmp.ts"

/** Without a byte more in this time, on a machine that does much else too, nothing will come of it. */
const silentMs = 30_000
const lookMs = 3

/** What QEMU calls unstable and leaves RAM out: for templates and their clones, whose RAM is a file. */
export const leaveRamOut = (machine: Machine, state: boolean) =>
  machine.query("migrate-set-capabilities", { capabilities: [{ capability: "x-ignore-shared", state }] })

async function progress(machine: Machine): Promise<{ readonly status: string; readonly done: string; why: string }> {
  const answer = await machine.query("query-migrate", undefined, silentMs)
  const fields = isObject(answer) ? answer : {}
  const status = printable(fields["status"] ?? "none")
  return { status, done: JSON.stringify(fields["ram"]), why: printable(fields["error-desc"] ?? status) }
}

/** Resolves when the migration is complete. Rejects when it failed, or stands still for `silentMs`. */
export async function migrated(machine: Machine, what: string): Promise<void> {
  let last = ""
  let end = performance.now() + silentMs
  for (;;) {
    const { status, done, why } = await progress(machine)
    if (status === "completed") return
    if (status === "failed" || status === "cancelled") throw new Error(`${what}: ${why}`)
    if (done !== last) end = performance.now() + silentMs
    last = done
    if (performance.now() > end) throw new Error(`${what}: stands still for ${silentMs} ms`)
    await sleep(lookMs)
  }
}

/**
 * Has a stopped machine write its state to a socket in `sockets`, the folder of its process, of user `uid`, and gives what `consume` made of
 * it. `consume` is told how to make sure that the machine has written all; whatever it throws ends the migration.
 */
export async function migrateOut<T>(
  machine: Machine,
  sockets: string,
  uid: number,
  consume: (stream: Socket, finished: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const name = "state.sock"
  const file = path.join(sockets, name)
  rmSync(file, { force: true })
  const server = createServer({ pauseOnConnect: true })
  const { promise: stream, resolve, reject } = Promise.withResolvers<Socket>()
  stream.catch(() => {})
  const timer = setTimeout(() => reject(new Error(`saving: it does not begin in ${silentMs} ms`)), silentMs)
  try {
    await new Promise<void>((done, failed) => server.once("error", failed).listen(file, done))
    server.once("connection", (socket) => {
      socket.on("error", () => {})
      socket.setTimeout(silentMs, () => socket.destroy(new Error("saving: it stands still")))
      resolve(socket)
      // Nobody else has a say in it.
      server.close()
    })
    chownSync(file, uid, uid)
    // Its sandbox forbids QEMU to start a program, and opens nothing by a name of ours.
    await machine.query("migrate", { uri: `unix:${name}` })
    return await consume(await stream, () => migrated(machine, "saving"))
  } finally {
    clearTimeout(timer)
    server.close()
    stream.then(
      (socket) => socket.destroy(),
      () => {},
    )
    rmSync(file, { force: true })
  }
}

/** Has a machine that waits for its state (`-incoming defer`) read it from `source`. When `source` throws, so does this. */
export async function migrateIn(machine: Machine, sockets: string, source: AsyncIterable<Buffer>): Promise<void> {
  const name = "memory.sock"
  await machine.query("migrate-incoming", { uri: `unix:${name}` })
  const socket = createConnection(path.join(sockets, name))
  let broken: Error | undefined
  socket.on("error", (error) => (broken ??= error))
  socket.setTimeout(silentMs, () => socket.destroy(new Error("loading: it stands still")))
  try {
    for await (const bytes of source) {
      await new Promise<void>((done) => socket.write(bytes, () => done()))
      // The machine says why, when it is asked how far it is.
      if (broken) break
    }
    await migrated(machine, "loading")
    await machine.refresh()
  } finally {
    socket.destroy()
  }
}

/** Ends a migration of an earlier process of ours, or of a try that failed, so that the machine can run or be saved again. */
export async function endMigration(machine: Machine): Promise<void> {
  const end = performance.now() + silentMs
  for (;;) {
    const { status } = await progress(machine)
    if (["none", "completed", "failed", "cancelled"].includes(status)) return
    if (status !== "cancelling") await machine.query("migrate_cancel")
    if (performance.now() > end) throw new Error("a migration does not end")
    await sleep(lookMs)
  }
}
