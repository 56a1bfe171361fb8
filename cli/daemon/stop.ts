import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { isRoot } from "../caller.ts"
import { codeOf, Failure, program } from "../failure.ts"
import { type DaemonRecord, homeFiles, homeWords, readConfig, readCredentials } from "../home.ts"
import { call } from "./api.ts"
import { runningDaemon, waitForStarting, waitUntilGone } from "./process.ts"

const signal = (daemon: DaemonRecord, name: "SIGTERM" | "SIGKILL", home: string): void => {
  try {
    process.kill(daemon.pid, name)
  } catch (error) {
    const code = codeOf(error)
    if (code === "EPERM") {
      throw new Failure(
        3,
        `the daemon (pid ${daemon.pid}) belongs to another user`,
        `sudo ${program} down${homeWords(home)}`,
      )
    }
    if (code !== "ESRCH") throw error
  }
}

/** Ends the daemon's own processes; guests go on. */
export const stopDaemonOnly = async (home: string, deadlineMs = 60_000): Promise<void> => {
  const daemon = runningDaemon(home)
  if (daemon === undefined) return
  signal(daemon, "SIGTERM", home)
  if (await waitUntilGone(daemon, deadlineMs)) return
  throw new Failure(
    1,
    `the daemon (pid ${daemon.pid}) did not end within ${deadlineMs / 1000} s`,
    `${program} logs${homeWords(home)}`,
  )
}

const askToShutDown = async (daemon: DaemonRecord, home: string, deadlineMs: number): Promise<boolean> => {
  const credentials = readCredentials(home)
  if (credentials === undefined) return false
  try {
    const answer = await call(daemon.endpoint, "POST", "/_fractus/shutdown", {
      body: { guests: "stop" },
      token: credentials.controlToken,
      deadlineMs,
    })
    if (answer.status >= 300) return false
  } catch {
    // The connection may well end with the daemon, before the answer: whether it is gone is what counts.
  }
  return waitUntilGone(daemon, deadlineMs)
}

/**
 * Ends guests, network and daemon of a home. Asks the daemon first; when it does not answer or is gone already,
 * `daemon/clean.ts` (of the folder `code`) removes what its slot left behind. Data stays.
 * Gives what happened: nothing can have been there, the daemon shut down, or what may have been left was removed.
 */
export const takeDown = async (
  { home, code, node }: { home: string; code: string; node: string },
  { answerMs, termMs } = { answerMs: 60_000, termMs: 5_000 },
): Promise<"nothing" | "stopped" | "cleaned"> => {
  const config = readConfig(home)
  if (config === undefined) return "nothing"
  if (config.engine === "qemu" && !isRoot()) {
    throw new Failure(3, `guests and networks of ${home} belong to root`, `sudo ${program} down --home ${home}`)
  }
  await waitForStarting(home, () => {})
  const daemon = runningDaemon(home)
  if (daemon !== undefined && (await askToShutDown(daemon, home, answerMs))) return "stopped"
  if (daemon !== undefined) {
    signal(daemon, "SIGTERM", home)
    if (!(await waitUntilGone(daemon, termMs))) {
      signal(daemon, "SIGKILL", home)
      await waitUntilGone(daemon, 5_000)
    }
  } else if (config.engine === "sim") {
    return "nothing" // on sim all is that one process
  }
  clean(home, code, node)
  return "cleaned"
}

const clean = (home: string, code: string, node: string): void => {
  const script = join(code, "daemon", "clean.ts")
  if (!existsSync(script)) throw new Failure(1, `${script} is missing`, "git checkout -- daemon")
  const done = spawnSync(node, [script, homeFiles(home).config], {
    stdio: ["ignore", "inherit", "inherit"],
    timeout: 60_000,
  })
  if (done.status === 0) return
  throw new Failure(1, "what the daemon left behind could not be removed", `${program} down${homeWords(home)}`)
}
