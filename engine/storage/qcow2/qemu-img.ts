/** qemu-img as a child process: never through a shell, formats always named, so that no file is probed. */
import { execFile, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs"
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

/** Makes the virtual disk of a qcow2 that stands alone and is ours larger. */
export async function growQcow2(path: string, sizeBytes: number): Promise<void> {
  await qemuImg(["resize", "-q", "-f", "qcow2", path, String(sizeBytes)])
}

/** A qcow2 on its own or over another one, whatever its header says of that. `secret`: what opens its encryption. */
export interface Layer {
  readonly path: string
  readonly backing?: string
  readonly secret?: string
}

const convertMs = 3_600_000

/** Writes all that `from` holds into `to`, which is empty yet and at least as large. */
export async function copyDisk(from: Layer, to: Omit<Layer, "backing">): Promise<void> {
  const file = (filename: string) => ({ driver: "file", filename })
  const encrypt = (id: string, { secret }: Layer) =>
    secret === undefined ? {} : { encrypt: { format: "luks", "key-secret": id } }
  const backing = from.backing === undefined ? null : { driver: "qcow2", file: file(from.backing), backing: null }
  const source = { driver: "qcow2", file: file(from.path), backing, ...encrypt("from", from) }
  const target = [
    "driver=qcow2,file.driver=file",
    `file.filename=${to.path.replaceAll(",", ",,")}`,
    ...(to.secret === undefined ? [] : ["encrypt.format=luks,encrypt.key-secret=to"]),
  ]
  const secrets = [
    ["from", from.secret],
    ["to", to.secret],
  ].flatMap(([id, value]) => (value === undefined ? [] : [{ id, value }]))
  // By descriptors: neither a name nor the list of processes shows one.
  const objects = secrets.flatMap(({ id }, index) => ["--object", `secret,id=${id},file=/proc/self/fd/${index + 3}`])
  const words = ["convert", "-q", "-n", "--target-is-zero", ...objects, "--target-image-opts"]
  const args = [...words, `json:${JSON.stringify(source)}`, target.join(",")]
  await timed(
    "command",
    () => shortened(["qemu-img", ...args]),
    () =>
      withInputs(
        args,
        secrets.map(({ value }) => value ?? ""),
      ),
  )
}

/** Runs it with these texts to be read from descriptors 3 and on. */
async function withInputs(args: readonly string[], inputs: readonly string[]): Promise<void> {
  const files: number[] = []
  try {
    for (const text of inputs) files.push(openNameless(text))
    await runFor(convertMs, args, files)
  } finally {
    for (const file of files) closeSync(file)
  }
}

/** In memory: its name is gone before the text is in it. */
function openNameless(text: string): number {
  const name = `/dev/shm/.fractus-${randomUUID()}`
  const file = openSync(name, "wx+", 0o600)
  try {
    unlinkSync(name)
    writeSync(file, text, 0)
    return file
  } catch (error) {
    closeSync(file)
    throw error
  }
}

function runFor(timeoutMs: number, args: readonly string[], files: readonly number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("qemu-img", args, {
      stdio: ["ignore", "ignore", "pipe", ...files],
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    })
    let said = ""
    child.stderr?.on("data", (bytes: Buffer) => (said = `${said}${bytes.toString("utf8")}`.slice(0, 4096)))
    child.once("error", (error) => reject(new StorageError("failed", "qemu-img cannot be run", { cause: error })))
    child.once("close", (code, signal) => {
      if (code === 0) resolve()
      else reject(storageError(new Error(said.trim() || `qemu-img ended with ${code ?? signal}`)))
    })
  })
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
