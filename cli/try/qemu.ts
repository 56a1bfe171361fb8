import { codeFolder, nodeOf } from "../daemon/code.ts"
import { homeFiles } from "../home.ts"
import { freePort } from "../ports.ts"
import { checkDisk, checkPrivileges, placeCachedImages, prepareQemu } from "../up/prepare.ts"
import type { DaemonProgram } from "./cloud.ts"

/** Before anything is made. Throws a Failure (3) where real guests are not possible. */
export const checkQemu = (folder: string): void => {
  checkPrivileges(folder)
  checkDisk(folder)
}

/** Brings what `up` brings, and every finished image of this machine's cache. */
export const prepareHome = async (home: string): Promise<DaemonProgram> => {
  await prepareQemu(home, false, [])
  await placeCachedImages(home)
  const code = codeFolder(homeFiles(home).code)
  return { node: nodeOf(code), main: `${code}/daemon/main.ts`, port: freePort }
}
