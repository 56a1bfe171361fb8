/** The disk of an image: boot loader, one partition, ext4; packed as zstd qcow2. */
import { truncate, writeFile } from "node:fs/promises"
import { bootSectors, partitionOffsetBytes } from "./boot-loader.ts"
import { run } from "./command.ts"
import type { ImageRecipe } from "./recipe.ts"

const blockBytes = 4096
/** Writing and packing whole distributions takes a slow machine minutes. */
const timeoutMs = 900_000

/**
 * What every kernel and boot loader of the last ten years reads. Said in full, because defaults differ between versions of mke2fs, and
 * GRUB 2.06 refuses two that newer ones set (metadata_csum_seed, orphan_file).
 */
const features =
  "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"

/** Writes `target` from the folder `root` and from the packages that hold the boot loader. `rawPath` is left behind. */
export async function writeDisk(
  recipe: ImageRecipe,
  packages: string,
  root: string,
  rawPath: string,
  target: string,
): Promise<void> {
  await writeFile(rawPath, await bootSectors(packages, recipe.sizeBytes))
  await truncate(rawPath, recipe.sizeBytes)
  // Few inodes and no lazy work: what mke2fs leaves to the first mount, every guest would do again on its own volume.
  const extended = `nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,offset=${partitionOffsetBytes}`
  const layout = [
    "-t",
    "ext4",
    "-b",
    String(blockBytes),
    "-i",
    String(recipe.bytesPerInode),
    "-m",
    "1",
    "-O",
    features,
    "-E",
    extended,
  ]
  const blocks = String((recipe.sizeBytes - partitionOffsetBytes) / blockBytes)
  await run("mke2fs", ["-q", "-F", ...layout, "-L", recipe.rootLabel, "-d", root, rawPath, blocks], { timeoutMs })
  const packing = ["-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd"]
  await run("qemu-img", ["convert", ...packing, rawPath, target], { timeoutMs })
}
