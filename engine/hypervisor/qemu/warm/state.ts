/**
 * The state of a machine besides its RAM, saved and loaded as a migration that leaves RAM out. QEMU calls `x-ignore-shared` unstable:
 * each template is tried before it is used (make.ts).
 */
import { chownSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Machine } from "../machine.ts"
import { isObject, printable } from "../qmp.ts"

const deadlineMs = 20_000
const lookMs = 3
/** A small guest's is half a megabyte. */
const stateLimitBytes = 64 << 20

const leaveRamOut = (machine: Machine) =>
  machine.query("migrate-set-capabilities", { capabilities: [{ capability: "x-ignore-shared", state: true }] })

async function migrated(machine: Machine, what: string): Promise<void> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const answer = await machine.query("query-migrate")
    const status = isObject(answer) ? answer["status"] : undefined
    if (status === "completed") return
    if (status === "failed" || status === "cancelled")
      throw new Error(`${what}: ${printable((isObject(answer) && answer["error-desc"]) || status)}`)
    if (performance.now() > end) throw new Error(`${what}: not done in ${deadlineMs} ms`)
    await sleep(lookMs)
  }
}

/** Saves a stopped machine. `sockets` is the folder of its process, of user `uid`. */
export async function saveState(machine: Machine, sockets: string, uid: number): Promise<Buffer> {
  const file = path.join(sockets, "state.sock")
  const server = createServer()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  server.on("connection", (socket) => {
    const parts: Buffer[] = []
    let size = 0
    socket.on("data", (part: Buffer) => {
      parts.push(part)
      if ((size += part.length) > stateLimitBytes) socket.destroy(new Error("the state is too large"))
    })
    socket.on("error", reject)
    socket.on("end", () => resolve(Buffer.concat(parts)))
  })
  promise.catch(() => {})
  try {
    await new Promise<void>((done, failed) => server.once("error", failed).listen(file, done))
    chownSync(file, uid, uid)
    await leaveRamOut(machine)
    // Its sandbox forbids QEMU to start a program, and opens nothing by a name of ours.
    await machine.query("migrate", { uri: "unix:state.sock" })
    await migrated(machine, "saving")
    return await promise
  } finally {
    server.close()
    rmSync(file, { force: true })
  }
}

/** Has a process that waits for its state (`-incoming defer`) read it from its descriptor `fd`. */
export async function loadState(machine: Machine, fd: number): Promise<void> {
  await leaveRamOut(machine)
  await machine.query("migrate-incoming", { uri: `fd:${fd}` })
  await migrated(machine, "loading")
  await machine.refresh()
}
