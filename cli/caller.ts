import { readFileSync } from "node:fs"
import { homedir } from "node:os"

/** The person at the keyboard: under sudo the one who called it, else ourselves. */
export type Caller = { uid: number; gid: number; home: string; underSudo: boolean }

/** The home folder of a uid as /etc/passwd has it. */
export const homeOfUid = (passwd: string, uid: number): string | undefined => {
  for (const line of passwd.split("\n")) {
    const fields = line.split(":")
    if (fields[2] === String(uid)) return fields[5]
  }
  return undefined
}

export const isRoot = (): boolean => process.getuid?.() === 0

/** SUDO_UID is believed only when we are root: anybody can set it. */
export const callingUser = (env: NodeJS.ProcessEnv = process.env): Caller => {
  const uid = process.getuid?.() ?? 0
  const gid = process.getgid?.() ?? 0
  const sudoUid = Number(env.SUDO_UID)
  const sudoGid = Number(env.SUDO_GID)
  if (uid === 0 && Number.isInteger(sudoUid) && sudoUid > 0 && Number.isInteger(sudoGid)) {
    const home = homeOfUid(readFileSync("/etc/passwd", "utf8"), sudoUid)
    if (home !== undefined && home !== "") return { uid: sudoUid, gid: sudoGid, home, underSudo: true }
  }
  return { uid, gid, home: env.HOME === undefined || env.HOME === "" ? homedir() : env.HOME, underSudo: false }
}
