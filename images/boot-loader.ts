/**
 * GRUB for a BIOS, written by hand into the sectors before the first partition: no loop device, no grub-install.
 * https://www.gnu.org/software/grub/manual/grub/html_node/Images.html
 */
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { ImageError, run } from "./command.ts"

export const sectorBytes = 512
/** Where the partition starts; what is before it is the boot loader's. */
export const partitionOffsetBytes = 1024 * 1024
/** The part of the first sector that holds code: the disk's signature and the table of partitions follow. */
const codeBytes = 440
const linux = 0x83
const modulesFolder = "usr/lib/grub/i386-pc"

/** What GRUB reads a configuration with, and what it loads a kernel with; nothing is loaded from the disk later. */
const modules = [
  "biosdisk",
  "part_msdos",
  "ext2",
  "configfile",
  "normal",
  "linux",
  "echo",
  "serial",
  "terminal",
  "test",
  "search",
  "search_label",
  "halt",
  "reboot",
]

/**
 * The first sectors of a disk: boot code, a table with one bootable partition that fills the disk, and GRUB, which reads /boot/grub/grub.cfg
 * from that partition of the disk it was started from. GRUB comes from the unpacked packages and runs inside of them.
 */
export async function bootSectors(packages: string, sizeBytes: number): Promise<Buffer> {
  const output = join(packages, "tmp/core.img")
  await mkdir(join(packages, "tmp"), { recursive: true })
  const format = ["--format", "i386-pc", "--directory", `/${modulesFolder}`]
  const place = ["--prefix", "(,msdos1)/boot/grub", "--output", "/tmp/core.img"]
  await run("chroot", [packages, "/usr/bin/grub-mkimage", ...format, ...place, ...modules])
  const core = await readFile(output)
  await rm(output)
  if (core.length > partitionOffsetBytes - sectorBytes) {
    throw new ImageError("failed", `GRUB takes ${core.length} bytes: more than there is before the first partition`)
  }
  const code = await readFile(join(packages, modulesFolder, "boot.img"))
  return Buffer.concat([masterBootRecord(code, sizeBytes), core])
}

/** The first sector. Addresses are in sectors alone: no BIOS that boots this disk asks for cylinders. */
export function masterBootRecord(code: Buffer, sizeBytes: number): Buffer {
  const sector = Buffer.alloc(sectorBytes)
  code.copy(sector, 0, 0, codeBytes)
  sector.writeUInt32LE(0x46726163, codeBytes)
  const entry = 446
  sector.writeUInt8(0x80, entry)
  sector.fill(0xff, entry + 1, entry + 4)
  sector.writeUInt8(linux, entry + 4)
  sector.fill(0xff, entry + 5, entry + 8)
  sector.writeUInt32LE(partitionOffsetBytes / sectorBytes, entry + 8)
  sector.writeUInt32LE((sizeBytes - partitionOffsetBytes) / sectorBytes, entry + 12)
  sector.writeUInt16BE(0x55aa, 510)
  return sector
}

/** Kernel, initrd and GRUB's configuration inside the root file system: the same files that a direct boot is handed. */
export async function installBoot(
  root: string,
  files: { readonly kernel: string; readonly initrd: Buffer },
  commandLine: string,
): Promise<void> {
  await mkdir(join(root, "boot/grub"), { recursive: true })
  await run("cp", ["--preserve=timestamps", "--reflink=auto", files.kernel, join(root, "boot/vmlinuz")])
  await writeFile(join(root, "boot/initrd"), files.initrd)
  await writeFile(join(root, "boot/grub/grub.cfg"), configuration(commandLine, "/boot/vmlinuz", "/boot/initrd"))
}

/**
 * GRUB's configuration and modules inside a distribution whose own tools keep both from then on: until `update-grub` first runs there, what is
 * started is whatever kernel the links in / lead to.
 */
export async function installBootOfDistribution(root: string, commandLine: string): Promise<void> {
  const folder = join(root, "boot/grub/i386-pc")
  await mkdir(folder, { recursive: true })
  const modules = join(root, modulesFolder)
  for (const name of await readdir(modules)) {
    if (/\.(mod|lst)$/.test(name)) await copyFile(join(modules, name), join(folder, name))
  }
  await writeFile(join(root, "boot/grub/grub.cfg"), configuration(commandLine, "/vmlinuz", "/initrd.img"))
}

function configuration(commandLine: string, kernel: string, initrd: string): string {
  return `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry Linux {
  linux ${kernel} ${commandLine}
  initrd ${initrd}
}
`
}
