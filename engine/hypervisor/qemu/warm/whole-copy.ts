/** A disk that stands on nothing, copied, larger perhaps. Shares blocks where the file system can. */
import { execFile } from "node:child_process"
import { constants } from "node:fs"
import { copyFile } from "node:fs/promises"
import { promisify } from "node:util"

const run = promisify(execFile)

/** Over a file that is there, whose owner and mode stay. */
export async function copyWhole(from: string, to: string, sizeBytes: number): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE)
  await run("qemu-img", ["resize", "-q", "-f", "qcow2", to, `${sizeBytes}`], { timeout: 20_000 })
}
