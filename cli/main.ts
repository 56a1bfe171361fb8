/** Entry of the command line, started by ./fractus. Turns compiled code on before anything else is loaded. */
import module from "node:module"
import { homedir } from "node:os"
import { join } from "node:path"

// Not a folder that others can write to: what is in it is run.
const cacheFolder =
  process.getuid?.() === 0
    ? "/var/cache/fractus/compiled"
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "fractus", "compiled")
module.enableCompileCache(cacheFolder)

const { run } = await import("./run.ts")
await run(process.argv.slice(2))
