import { requireCredentials, startCommand } from "../daemon/require.ts"
import { runningDaemon } from "../daemon/process.ts"
import { stopDaemonOnly } from "../daemon/stop.ts"
import { Failure } from "../failure.ts"
import { homeFiles, existingHome, readConfig } from "../home.ts"
import { withLock } from "../lock.ts"
import { note } from "../terminal.ts"
import { checkPrivileges } from "../up/prepare.ts"
import { printReport, upReport } from "../up/report.ts"
import { start, type Surroundings } from "./up.ts"

/** `fractus restart`: a new daemon with the options of the last one. Guests go on meanwhile. */
export const restart = async (
  options: { home?: string; json?: boolean },
  surroundings: Surroundings = {},
): Promise<void> => {
  const home = existingHome(options.home)
  const config = readConfig(home)
  if (config === undefined) throw new Failure(1, `${home} was never started`, startCommand(home))
  if (config.engine === "qemu") checkPrivileges(home)
  const wait = (pid: number): void => note(`Another run (pid ${pid}) is working on ${home}; waiting for it ...`)
  const started = await withLock(
    homeFiles(home).lock,
    async () => {
      if (runningDaemon(home) === undefined) note(`Nothing was running on ${home}; starting it.`)
      await stopDaemonOnly(home)
      return start(config, {}, surroundings)
    },
    wait,
  )
  started.child.unref()
  printReport(upReport(started.status, config, requireCredentials(home), null), options.json === true)
}
