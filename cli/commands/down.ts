import { isRoot } from "../caller.ts"
import { nodeOf } from "../daemon/code.ts"
import { takeDown } from "../daemon/stop.ts"
import { existingHome } from "../home.ts"
import { note, printJson } from "../terminal.ts"
import { repository } from "../repository.ts"

/** `fractus down`: guests, networks and the daemon of a home end; its data stays for the next `up`. */
export const down = async (options: { home?: string; json?: boolean }): Promise<void> => {
  const home = existingHome(options.home)
  const result = await endAll(home)
  if (options.json === true) printJson({ home, result })
  else if (result === "nothing") note(`Nothing was running on ${home}.`)
  else if (result === "stopped") note(`Stopped ${home}.`)
  else note(`No daemon answered on ${home}; what it may have left was removed.`)
}

/** The builder of images last: it begins nothing once the daemon is gone. */
const endAll = async (home: string): Promise<Awaited<ReturnType<typeof takeDown>>> => {
  try {
    return await takeDown({ home, code: repository, node: nodeOf(repository) })
  } finally {
    if (isRoot()) await (await import("../images/background.ts")).stopBackgroundBuild(home)
  }
}
