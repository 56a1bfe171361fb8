/** Entry of the command line, started by ./fractus. Turns compiled code on before anything else is loaded. */
import module from "node:module"
import { compiledFolder } from "./compiled.ts"

module.enableCompileCache(compiledFolder())

const { run } = await import("./run.ts")
await run(process.argv.slice(2))
