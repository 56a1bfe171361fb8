/** An image as a folder: disk.qcow2, image.json and, for a direct start, vmlinuz and initrd; whole or not an image. */
import { readFile, stat } from "node:fs/promises"
import { join } from "node:path"

/** What stands in an image's image.json. */
export interface ImageFacts {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly architecture: "x86_64"
  /** Virtual size of the disk. */
  readonly sizeBytes: number
  readonly rootDeviceName: string
  /** `kernel`: started with the vmlinuz and initrd beside the disk. `firmware`: with what the disk itself holds. */
  readonly bootKind: "kernel" | "firmware"
  /** With "firmware": its system has our agent, and may be cloned while it runs. */
  readonly agent?: boolean
  /** Its agent knows disks that were somebody's: images that are made of its instances may be cloned, too. */
  readonly copies?: boolean
  readonly commandLine: string
  readonly loginUser: string
  readonly createdMs: number
  readonly recipeHash: string
  /** Name -> version of every package in it. */
  readonly packages: Readonly<Record<string, string>>
}

export interface BuiltImage extends ImageFacts {
  readonly directory: string
  readonly diskPath: string
  /** Only with `bootKind` "kernel" is there a file at these two. */
  readonly kernelPath: string
  readonly initrdPath: string
}

/** The files of an image's folder. */
export function imageFiles(bootKind: ImageFacts["bootKind"]): readonly string[] {
  return bootKind === "kernel" ? ["disk.qcow2", "vmlinuz", "initrd", "image.json"] : ["disk.qcow2", "image.json"]
}

/** An image folder as it stands, or undefined when it is absent or not whole. */
export async function readImage(directory: string): Promise<BuiltImage | undefined> {
  const text = await readFile(join(directory, "image.json"), "utf8").catch(() => undefined)
  if (text === undefined) return undefined
  const facts = parseFacts(text)
  if (!facts) return undefined
  const found = await Promise.all(
    imageFiles(facts.bootKind).map((name) =>
      stat(join(directory, name)).then(
        () => true,
        () => false,
      ),
    ),
  )
  if (found.includes(false)) return undefined
  return {
    ...facts,
    directory,
    diskPath: join(directory, "disk.qcow2"),
    kernelPath: join(directory, "vmlinuz"),
    initrdPath: join(directory, "initrd"),
  }
}

export async function isWhole(directory: string): Promise<boolean> {
  return (await readImage(directory)) !== undefined
}

function parseFacts(text: string): ImageFacts | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isImageFacts(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isImageFacts(value: unknown): value is ImageFacts {
  if (typeof value !== "object" || value === null) return false
  const strings = [
    "id",
    "name",
    "description",
    "architecture",
    "rootDeviceName",
    "bootKind",
    "commandLine",
    "loginUser",
    "recipeHash",
  ]
  const fields = new Map<string, unknown>(Object.entries(value))
  return (
    strings.every((key) => typeof fields.get(key) === "string") &&
    ["kernel", "firmware"].includes(String(fields.get("bootKind"))) &&
    ["sizeBytes", "createdMs"].every((key) => Number.isSafeInteger(fields.get(key))) &&
    ["agent", "copies"].every((name) => ["undefined", "boolean"].includes(typeof fields.get(name))) &&
    typeof fields.get("packages") === "object"
  )
}
