/**
 * A file in memory that nobody can change any more, root and a guest that broke out of its machine included: QEMU opens what it maps as
 * guest RAM for writing, also where it maps it privately (before 8.2), and all clones of a template map one file.
 * By memfd_create(2) and F_ADD_SEALS, which Node has not: two calls into libc by `node:ffi` (experimental).
 */
import { closeSync, fstatSync, openSync } from "node:fs"

export interface SealedMemory {
  /** Opens anew, in this process and by descriptors that it hands on. */
  readonly path: string
  /** What it takes: pages that were never written take nothing. */
  readonly bytes: number
  close(): void
}

const [closeOnExec, allowSealing, addSeals] = [1, 2, 1033]
/** Seals themselves, shrinking, growing, writing. */
const allSeals = 15

async function openLibrary() {
  const { dlopen } = await import("node:ffi")
  const { functions } = dlopen("libc.so.6", {
    memfd_create: { return: "i32", arguments: ["buffer", "u32"] },
    fcntl: { return: "i32", arguments: ["i32", "i32", "i32"] },
  })
  return functions
}

/** A file in memory with what `fill` writes to the descriptor that it is given. Throws where it cannot be sealed. */
export async function sealedMemory(name: string, fill: (fd: number) => Promise<void>): Promise<SealedMemory> {
  const libc = await openLibrary()
  const fd = libc.memfd_create(Buffer.from(`${name}\0`), closeOnExec | allowSealing)
  if (fd < 0) throw new Error("this kernel makes no files in memory")
  try {
    await fill(fd)
    if (libc.fcntl(fd, addSeals, allSeals) !== 0) throw new Error("this kernel seals no files")
    // Tried: a descriptor opened for writing must not be good for it.
    closeSync(openSync(`/proc/self/fd/${fd}`, "r"))
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { path: `/proc/self/fd/${fd}`, bytes: fstatSync(fd).blocks * 512, close: () => closeSync(fd) }
}
