/** The files behind a disk. QEMU is given each of them open, so it has to open none by a name that a header tells. */
import { closeSync, openSync, readSync } from "node:fs"
import path from "node:path"
import type { Disk } from "../types.ts"

export interface Layer {
  readonly path: string
  readonly format: "qcow2" | "raw"
}

const depthLimit = 16
const qcow2Magic = 0x51_46_49_fb
const backingFormatExtension = 0xe2_79_2a_ca

/** Top first. Throws when a file is missing, is not what it is said to be, or the chain is too deep. */
export function diskChain(disk: Pick<Disk, "id" | "path" | "format">): readonly Layer[] {
  const layers: Layer[] = []
  let next: Layer | undefined = { path: disk.path, format: disk.format }
  while (next) {
    if (layers.length === depthLimit) throw new Error(`disk ${disk.id}: more than ${depthLimit} layers`)
    layers.push(next)
    try {
      next = next.format === "raw" ? exists(next.path) : backing(next.path)
    } catch (error) {
      throw new Error(`disk ${disk.id}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
  return layers
}

function exists(file: string): undefined {
  closeSync(openSync(file, "r"))
}

/** Reads a qcow2 header (docs/interop/qcow2 of QEMU): what it is an overlay of, if anything. */
function backing(file: string): Layer | undefined {
  const header = Buffer.alloc(4096)
  const fd = openSync(file, "r")
  let length
  try {
    length = readSync(fd, header, 0, header.length, 0)
  } finally {
    closeSync(fd)
  }
  if (length < 72 || header.readUInt32BE(0) !== qcow2Magic) throw new Error(`${file} is not a qcow2 image`)
  const version = header.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw new Error(`${file} is qcow2 of unknown version ${version}`)
  const nameOffset = header.readBigUInt64BE(8)
  const nameSize = header.readUInt32BE(16)
  if (nameOffset === 0n) return undefined
  if (nameSize < 1 || nameSize > 1023 || nameOffset + BigInt(nameSize) > BigInt(length)) {
    throw new Error(`${file} has a damaged header`)
  }
  const name = header.toString("utf8", Number(nameOffset), Number(nameOffset) + nameSize)
  if (name.includes("\0") || /^[a-z0-9+-]+:/i.test(name)) throw new Error(`${file} stands on something that is no file`)
  const format = backingFormat(header.subarray(0, Number(nameOffset)), version)
  if (format !== "qcow2" && format !== "raw") throw new Error(`${file} does not tell the format of what it stands on`)
  return { path: path.resolve(path.dirname(file), name), format }
}

/** Walks the header extensions. A guessed format would let a raw layer's content choose it, so none is guessed. */
function backingFormat(header: Buffer, version: number): string | undefined {
  let at = version === 2 ? 72 : header.readUInt32BE(100)
  while (at >= 72 && at + 8 <= header.length) {
    const type = header.readUInt32BE(at)
    const size = header.readUInt32BE(at + 4)
    if (type === 0 || at + 8 + size > header.length) return undefined
    if (type === backingFormatExtension) return header.toString("latin1", at + 8, at + 8 + size)
    at += 8 + Math.ceil(size / 8) * 8
  }
  return undefined
}
