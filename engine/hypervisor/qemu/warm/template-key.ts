/** Which machines may be clones of one template: all that its RAM and its devices' state know of its making. */
import { createHash } from "node:crypto"
import { closeSync, openSync, readSync, statSync } from "node:fs"
import type { Boot, Disk, MachineSpec } from "../../types.ts"
import { type Accelerator, hostCpu } from "../accelerator.ts"
import { diskChain } from "../disk-chain.ts"

/** Raised when templates of an earlier release must not be used: when arguments of QEMU, agent or protocol change. */
const format = 2

export interface TemplateKey {
  /** Name of the template's folder. */
  readonly key: string
  /** What its disk has the content of: an image that it is an empty overlay of, or a disk that it is a copy of. */
  readonly imagePath: string
  /** Its disk was somebody's. */
  readonly copy: boolean
  /** All files that make the image: where one is gone or another, no template of it is of use. */
  readonly imageFiles: readonly string[]
  readonly diskBytes: number
}

/** A file by what changes when it is another one. Throws where there is none. */
export function fileIdentity(file: string): string {
  const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true })
  return [dev, ino, size, mtimeNs].join(":")
}

/** What a machine starts with that is not on its disk. */
function kernelOf(boot: MachineSpec["boot"]) {
  if (boot.kind === "firmware") return { firmware: true }
  const { kernelPath, initrdPath, commandLine } = boot
  return { kernel: fileIdentity(kernelPath), initrd: fileIdentity(initrdPath), commandLine }
}

/** The key, or why machines like this one cannot be clones. Looks at files, and changes nothing. */
export function templateKey(spec: MachineSpec, binary: string, host: Accelerator): TemplateKey | string {
  const [disk, ...otherDisks] = spec.disks
  const [nic, ...otherNics] = spec.nics
  if (!disk || otherDisks.length > 0) return `a machine with ${spec.disks.length} disks boots`
  if (!nic || otherNics.length > 0) return `a machine with ${spec.nics.length} interfaces boots`
  if (spec.boot.kind === "firmware" && spec.boot.agent !== true) return "an image without an agent boots"
  if (spec.boot.kind === "firmware" && disk.secret) return "an encrypted disk does not begin with a template's"
  if (host.accelerator === "none") return "this host can run no machines"
  const imagePath = imageOf(disk, spec.boot)
  if (typeof imagePath !== "string") return imagePath.why
  const { diskBytes } = readOverlay(disk.path)
  const copy = disk.copyOf !== undefined
  const facts = {
    format,
    image: fileIdentity(imagePath),
    ...(copy && { copy }),
    diskBytes,
    ...kernelOf(spec.boot),
    vcpus: spec.vcpus,
    memoryMiB: spec.memoryMiB,
    mtu: nic.mtu,
    manufacturer: spec.manufacturer,
    product: spec.product,
    machineVersion: spec.machineVersion ?? host.machineVersion,
    qemu: host.version,
    binary: fileIdentity(binary),
    accelerator: host.accelerator,
    cpu: hostCpu(),
  }
  const imageFiles = spec.boot.kind === "kernel" ? [imagePath, spec.boot.kernelPath, spec.boot.initrdPath] : [imagePath]
  const key = createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 32)
  return { key, imagePath, copy, imageFiles, diskBytes }
}

function imageOf(disk: Disk, { copies }: Boot): string | { readonly why: string } {
  const [, image] = diskChain(disk)
  if (image?.format === "qcow2") return image.path
  if (disk.copyOf === undefined) return { why: "its disk is no image's, or has been written to" }
  return copies === true ? disk.copyOf : { why: "its image's version makes no templates of disks that were somebody's" }
}

/** Whether nothing has been written to a machine's disk: a template knows the image, and nothing else. */
export const isUntouched = (spec: MachineSpec): boolean =>
  spec.disks.every((disk) => disk.copyOf !== undefined || readOverlay(disk.path).untouched)

/** Of a qcow2 file that is an overlay or stands alone (docs/interop/qcow2 of QEMU): its size, and whether no cluster of it is in use: all entries of its first table are 0. */
export function readOverlay(file: string): { readonly diskBytes: number; readonly untouched: boolean } {
  const fd = openSync(file, "r")
  try {
    const header = Buffer.alloc(104)
    readSync(fd, header, 0, header.length, 0)
    const entries = Buffer.alloc(header.readUInt32BE(36) * 8)
    // 2^16 entries of the usual clusters are 32 TiB.
    if (entries.length > 1 << 19) return { diskBytes: 0, untouched: false }
    const read = readSync(fd, entries, 0, entries.length, Number(header.readBigUInt64BE(40)))
    const snapshots = header.readUInt32BE(60)
    const untouched = read === entries.length && snapshots === 0 && entries.every((byte) => byte === 0)
    return { diskBytes: Number(header.readBigUInt64BE(24)), untouched }
  } finally {
    closeSync(fd)
  }
}
