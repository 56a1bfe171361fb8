import { isRoot } from "../caller.ts"
import { codeFolder, nodeOf } from "../daemon/code.ts"
import { Failure, program } from "../failure.ts"
import { freeBytes, homeFiles } from "../home.ts"
import { freePort } from "../ports.ts"
import { checkPrivileges, checkSystem, leastFreeBytes, placeCachedImages, prepareQemu } from "../up/prepare.ts"
import type { DaemonProgram } from "./cloud.ts"

/** Before anything is made. Throws a Failure (3) where real guests are not possible. */
export const checkQemu = (folder: string): void => {
  checkSystem()
  if (!isRoot()) {
    throw new Failure(3, "real guests need root (networks, disks and users of their own)", [
      `sudo ${program} try --engine qemu -- COMMAND`,
      `${program} try -- COMMAND   (simulated instances, no privileges)`,
    ])
  }
  checkPrivileges(folder)
  const free = freeBytes(folder)
  if (free >= leastFreeBytes) return
  throw new Failure(3, `${folder} has ${(free / 1024 ** 3).toFixed(1)} GB free; real guests need at least 5 GB`, [
    `TMPDIR=DIR ${program} try --engine qemu -- COMMAND   (a folder on a larger disk)`,
  ])
}

/** Brings what `up` brings, and every finished image of this machine's cache. */
export const prepareHome = async (home: string): Promise<DaemonProgram> => {
  await prepareQemu(home, false, [])
  await placeCachedImages(home)
  const code = codeFolder(homeFiles(home).code)
  return { node: nodeOf(code), main: `${code}/daemon/main.ts`, port: freePort }
}
