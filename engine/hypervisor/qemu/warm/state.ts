/**
 * The state of a machine besides its RAM, saved and loaded as a migration that leaves RAM out. QEMU calls `x-ignore-shared` unstable:
 * each template is tried before it is used (make.ts).
 */
import type { Machine } from "../machine.ts"
import { leaveRamOut, migrated, migrateOut } from "../migration.ts"

/** A small guest's is half a megabyte. */
const stateLimitBytes = 64 << 20

/** Saves a stopped machine. `sockets` is the folder of its process, of user `uid`. */
export async function saveState(machine: Machine, sockets: string, uid: number): Promise<Buffer> {
  await leaveRamOut(machine, true)
  return migrateOut(machine, sockets, uid, async (stream, finished) => {
    const parts: Buffer[] = []
    let size = 0
    for await (const part of stream) {
      parts.push(part)
      if ((size += part.length) > stateLimitBytes) throw new Error("the state is too large")
    }
    await finished()
    return Buffer.concat(parts)
  })
}

/** Has a process that waits for its state (`-incoming defer`) read it from its descriptor `fd`. */
export async function loadState(machine: Machine, fd: number): Promise<void> {
  await leaveRamOut(machine, true)
  await machine.query("migrate-incoming", { uri: `fd:${fd}` })
  await migrated(machine, "loading")
  await machine.refresh()
}
