/**
 * Templates on disk: a folder each, named by its key, whole or not there, never changed: `ram.bin` (sparse), `state.bin` and
 * `template.json` with their sizes and digests. What is read is checked while it is copied into memory that nobody can change.
 */
import { createHash } from "node:crypto"
import {
  chmodSync,
  chownSync,
  existsSync,
  ftruncateSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  write,
  writeFileSync,
} from "node:fs"
import { type FileHandle, open, rename } from "node:fs/promises"
import path from "node:path"
import { promisify } from "node:util"
import { isObject } from "../qmp.ts"
import { type SealedMemory, sealedMemory } from "./sealed-memory.ts"
import { fileIdentity, type TemplateKey } from "./template-key.ts"

export interface Template {
  readonly key: string
  readonly memory: SealedMemory
  readonly state: SealedMemory
  /** Where the disk of a template lies that wrote to it: clones begin with a copy. */
  readonly diskPath?: string
}

interface FileFacts {
  readonly sizeBytes: number
  readonly digest: string
}
interface Facts {
  readonly schema: 1
  readonly key: string
  readonly madeMs: number
  readonly files: Readonly<Record<FileName, FileFacts> & Partial<Record<typeof diskName, FileFacts>>>
}

export const fileNames = ["ram.bin", "state.bin"] as const
/** Only of a template that wrote to its disk. */
export const diskName = "disk.qcow2"
type FileName = (typeof fileNames)[number]

const blockBytes = 1 << 20
const zeroes = Buffer.alloc(blockBytes)
const writeAt = promisify(write)
/** Unused for this long a template goes: 30 days. */
const ageLimitMs = 30 * 86_400_000
/** All templates of a home together, as they lie on the disk. */
const spaceLimitBytes = 4 * 2 ** 30
const factsFile = "template.json"
/** The files of its image, and which ones they were. By itself: the time at which the facts were read is that of the last use. */
const imageFile = "image.json"

export const isKey = (name: string): boolean => /^[0-9a-f]{32}$/.test(name)

export function openTemplateFolder(directory: string) {
  const folderOf = (key: string) => path.join(directory, key)
  const keys = () => readdirSync(directory).filter(isKey)
  const remove = (key: string) => rmSync(folderOf(key), { recursive: true, force: true })
  return {
    has: (key: string) => statSync(path.join(folderOf(key), factsFile), { throwIfNoEntry: false }) !== undefined,
    /** Throws when a file is not what was written. */
    load: (key: string): Promise<Template> => load(folderOf(key), key),
    remove,
    /** Writes down what the two files in a folder are, which are the superuser's from now on, and reads them back. */
    async seal(work: string, { key, imageFiles }: TemplateKey, madeMs: number): Promise<Template> {
      const files = {} as Record<FileName | typeof diskName, FileFacts>
      for (const name of [...fileNames, diskName] as const)
        if (existsSync(path.join(work, name))) files[name] = await settle(path.join(work, name))
      const facts: Facts = { schema: 1, key, madeMs, files }
      const image = imageFiles.map((file) => [file, fileIdentity(file)])
      writeFileSync(path.join(work, imageFile), JSON.stringify(image), { mode: 0o600 })
      writeFileSync(path.join(work, factsFile), JSON.stringify(facts), { mode: 0o600, flush: true })
      return load(work, key)
    },
    /** Takes over a sealed folder; the template from then on. */
    async publish(work: string, template: Template): Promise<Template> {
      const folder = folderOf(template.key)
      remove(template.key)
      await rename(work, folder)
      return { ...template, ...(template.diskPath && { diskPath: path.join(folder, diskName) }) }
    },
    /** Removes what stands on no image any more or was not used for long, and the oldest while there are too many bytes; never `keep`. Gives their names. */
    tidy(nowMs: number, keep?: string): readonly string[] {
      const removed = keys().filter((key) => key !== keep && isOrphan(folderOf(key)))
      const found = keys()
        .filter((key) => key !== keep && !removed.includes(key))
        .map((key) => ({ key, usedMs: usedMs(folderOf(key)), bytes: bytesOf(folderOf(key)) }))
        .toSorted((one, two) => two.usedMs - one.usedMs)
      let total = keep === undefined ? 0 : bytesOf(folderOf(keep))
      for (const { key, usedMs, bytes } of found) {
        total += bytes
        if (nowMs - usedMs > ageLimitMs || total > spaceLimitBytes) removed.push(key)
      }
      for (const key of removed) remove(key)
      return removed
    },
  }
}
export type TemplateFolder = ReturnType<typeof openTemplateFolder>

/** Whether the image that it was made of is gone, or another one now. */
function isOrphan(folder: string): boolean {
  try {
    const image: unknown = JSON.parse(readFileSync(path.join(folder, imageFile), "utf8"))
    if (!Array.isArray(image)) return false
    return image.some(([file, identity]) => !existsSync(file) || fileIdentity(file) !== identity)
  } catch {
    return false
  }
}

/** The last use is the time of reading, or where that is not kept, of making. */
const usedMs = (folder: string) => {
  const facts = statSync(path.join(folder, factsFile), { throwIfNoEntry: false })
  return Math.max(facts?.atimeMs ?? 0, facts?.mtimeMs ?? 0)
}
const bytesOf = (folder: string) =>
  [...fileNames, diskName].reduce(
    (sum, name) => sum + (statSync(path.join(folder, name), { throwIfNoEntry: false })?.blocks ?? 0) * 512,
    0,
  )

async function settle(file: string): Promise<FileFacts> {
  chownSync(file, 0, 0)
  chmodSync(file, 0o600)
  const handle = await open(file, "r")
  try {
    await handle.sync()
    return await digestOf(handle)
  } finally {
    await handle.close()
  }
}

/** Blocks of zeroes are neither hashed nor told: guest RAM is mostly that. */
async function digestOf(handle: FileHandle, use?: (block: Buffer, at: number) => Promise<unknown>): Promise<FileFacts> {
  const hash = createHash("sha256")
  const buffer = Buffer.allocUnsafe(blockBytes)
  let at = 0
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, blockBytes, at)
    if (bytesRead === 0) return { sizeBytes: at, digest: hash.digest("hex") }
    const block = buffer.subarray(0, bytesRead)
    if (!block.equals(zeroes.subarray(0, bytesRead))) {
      hash.update(`${at}:${bytesRead}\n`).update(block)
      await use?.(block, at)
    }
    at += bytesRead
  }
}

async function load(folder: string, key: string): Promise<Template> {
  const facts = readFacts(path.join(folder, factsFile), key)
  const made: SealedMemory[] = []
  const { [diskName]: disk } = facts.files
  const diskPath = path.join(folder, diskName)
  try {
    if (disk) await checkDisk(diskPath, disk)
    for (const name of fileNames) {
      const expected = facts.files[name]
      const handle = await open(path.join(folder, name), "r")
      try {
        made.push(
          await sealedMemory(name, async (fd) => {
            ftruncateSync(fd, expected.sizeBytes)
            const found = await digestOf(handle, (block, at) => writeAt(fd, block, 0, block.length, at))
            if (found.sizeBytes !== expected.sizeBytes) throw new Error(`${name} is of another size`)
            if (found.digest !== expected.digest) throw new Error(`${name} is not what was written`)
          }),
        )
      } finally {
        await handle.close()
      }
    }
  } catch (error) {
    for (const memory of made) memory.close()
    throw error
  }
  return { key, memory: made[0]!, state: made[1]!, ...(disk && { diskPath }) }
}

/** The superuser's alone, and read by nobody else: what it was once, it is while we run. */
async function checkDisk(file: string, expected: FileFacts): Promise<void> {
  const handle = await open(file, "r")
  try {
    const { sizeBytes, digest } = await digestOf(handle)
    if (sizeBytes !== expected.sizeBytes || digest !== expected.digest)
      throw new Error(`${diskName} is not what was written`)
  } finally {
    await handle.close()
  }
}

function readFacts(file: string, key: string): Facts {
  let facts: unknown
  try {
    facts = JSON.parse(readFileSync(file, "utf8"))
  } catch {
    throw new Error(`${factsFile} cannot be read`)
  }
  if (!isFacts(facts)) throw new Error(`${factsFile} is not one of ours`)
  if (facts.key !== key) throw new Error(`${factsFile} is of another template`)
  return facts
}

function isFacts(value: unknown): value is Facts {
  if (!isObject(value) || value["schema"] !== 1 || !isObject(value["files"])) return false
  const files = value["files"]
  const wanted = [...fileNames, ...(diskName in files ? [diskName] : [])]
  return wanted.every((name) => {
    const facts = files[name]
    return isObject(facts) && Number.isSafeInteger(facts["sizeBytes"]) && typeof facts["digest"] === "string"
  })
}
