import { homedir } from "node:os"
import { join } from "node:path"

/** Where Node keeps compiled code of the CLI and of the daemons. Not a folder that others can write to: what is in it is run. */
export const compiledFolder = (): string =>
  process.getuid?.() === 0
    ? "/var/cache/fractus/compiled"
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "fractus", "compiled")
