/** What a machine's display shows. QEMU writes the picture to a file in its own directory; we read it and remove it. */
import { closeSync, constants, fstatSync, openSync, readSync, rmSync } from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { pictureLimitBytes } from "../types.ts"
import type { Machine } from "./machine.ts"

const dumpMs = 5000
/** Each picture is some megabytes of ours for a moment. */
const atOnce = 4
/** A key is held for this long, and the guest has as long again to draw. */
const wakeMs = 100

/** Takes pictures, few at a time: who asks for the picture that is being taken gets the same one. */
export function takePictures() {
  const inFlight = new Map<string, Promise<Buffer>>()
  return {
    /** Rejects when QEMU says no, takes longer than five seconds, or wrote something that is no plain file of the size of a picture. */
    take(id: string, machine: Pick<Machine, "query">, directory: string, wake: boolean): Promise<Buffer> {
      const name = `${id} ${wake}`
      const taken = inFlight.get(name)
      if (taken) return taken
      if (inFlight.size >= atOnce) return Promise.reject(new Error(`${atOnce} pictures are being taken: ask again`))
      const fresh = dump(machine, directory, wake, `display-${wake ? "wake" : "now"}.ppm`).finally(() =>
        inFlight.delete(name),
      )
      inFlight.set(name, fresh)
      return fresh
    },
  }
}

/** PPM, not PNG: QEMU need not compress while the guest waits, and whoever reads it needs no decompressor for hostile bytes. */
async function dump(machine: Pick<Machine, "query">, directory: string, wake: boolean, name: string): Promise<Buffer> {
  const file = path.join(directory, "sockets", name)
  if (wake) {
    const keys = [{ type: "qcode", data: "shift" }]
    await machine.query("send-key", { keys, "hold-time": wakeMs }, dumpMs)
    await sleep(2 * wakeMs)
  }
  try {
    // The name is relative to QEMU's working directory, the only place where it may write.
    await machine.query("screendump", { filename: name, device: "display" }, dumpMs)
    return readPicture(file)
  } finally {
    // A directory in its place is possible, too.
    rmSync(file, { recursive: true, force: true })
  }
}

/** The directory is the guest's process's own, which may have put a link, a pipe or an endless file there. */
export function readPicture(file: string): Buffer {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error("the picture is not a plain file")
    if (stat.size > pictureLimitBytes) throw new Error(`the picture is larger than ${pictureLimitBytes} bytes`)
    const bytes = Buffer.alloc(stat.size)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(fd, bytes, length, bytes.length - length, null)
    return bytes.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}
