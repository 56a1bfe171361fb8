import { Failure, program } from "../failure.ts"
import { type Credentials, type DaemonRecord, homeWords, readConfig, readCredentials } from "../home.ts"
import { runningDaemon } from "./process.ts"

/** The daemon of this home, or a Failure that says how to start it. */
export const requireDaemon = (home: string): DaemonRecord => {
  const daemon = runningDaemon(home)
  if (daemon === undefined) throw new Failure(1, `Fractus is not running on ${home}`, startCommand(home))
  return daemon
}

/** The command that starts this home again. */
export const startCommand = (home: string): string => {
  const engine = readConfig(home)?.engine
  const sim = engine === "sim" ? " --engine sim" : ""
  return `${engine !== "sim" && process.getuid?.() !== 0 ? "sudo " : ""}${program} up${sim}${homeWords(home)}`
}

/** The keys of this home, or a Failure. */
export const requireCredentials = (home: string): Credentials => {
  const credentials = readCredentials(home)
  if (credentials === undefined)
    throw new Failure(1, `${home} has no keys yet: it was never started`, startCommand(home))
  return credentials
}
