/** qemu-img as a child process: never through a shell, formats always named, so that no file is probed. */
import { execFile } from "node:child_process"
import { shortened, timed } from "#lib/trace.ts"
import { StorageError, storageError } from "../errors.ts"
import { readHeader } from "../qcow2-header.ts"

/** An empty qcow2 of `sizeBytes`; with `backing` (a qcow2, as written into the header) an overlay on it. */
export async function createQcow2(path: string, sizeBytes: number, backing?: string): Promise<void> {
  // -u: the backing file's size was checked by us; opening it would cost as much as the creation.
  const base = backing === undefined ? [] : ["-b", backing, "-F", "qcow2", "-u"]
  await qemuImg([
    "create",
    "-q",
    "-f",
    "qcow2",
    "-o",
    "compat=1.1,lazy_refcounts=off",
    ...base,
    path,
    String(sizeBytes),
  ])
}

export interface Qcow2Facts {
  readonly sizeBytes: number
}

/**
 * Looks at a file that may be hostile. Throws `invalid` unless it is a plain qcow2 that stands alone: one with a backing or data
 * file would make a guest read whatever path its author wrote there.
 */
export async function inspectQcow2(path: string): Promise<Qcow2Facts> {
  const header = await readHeader(path)
  if (header.backing) throw new StorageError("invalid", "the image has a backing file")
  const printed = await qemuImg(["info", "-f", "qcow2", "--output=json", path]).catch((error: unknown) => {
    throw new StorageError("invalid", `no usable qcow2: ${error instanceof Error ? error.message : String(error)}`)
  })
  const text = JSON.stringify(JSON.parse(printed))
  if (/"(data-file|encrypted|full-backing-filename)":/.test(text)) {
    throw new StorageError("invalid", "the image has a data file, a backing file or is encrypted")
  }
  return { sizeBytes: header.sizeBytes }
}

function qemuImg(args: readonly string[]): Promise<string> {
  return timed(
    "command",
    () => shortened(["qemu-img", ...args]),
    () => execute(args),
  )
}

function execute(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: 60_000,
      killSignal: "SIGKILL",
      maxBuffer: 1024 * 1024,
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
    } as const
    execFile("qemu-img", args, options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      if (error.code === "ENOENT")
        return reject(new StorageError("failed", "qemu-img is not installed", { cause: error }))
      reject(storageError(new Error(stderr.trim() || error.message, { cause: error })))
    })
  })
}
