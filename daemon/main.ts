/** The daemon: `node daemon/main.ts <home>/config.json`. */
import { enableCompileCache } from "node:module"
import { startOverIfCompiling } from "#lib/compiled.ts"
import { homeFiles, readConfig } from "./config.ts"
import { startOrExplain } from "./home-records.ts"
import { boundOwnLog } from "./own-log.ts"

enableCompileCache()
const path = process.argv[2]
if (path === undefined) {
  console.error("usage: node daemon/main.ts <home>/config.json")
  process.exit(2)
}
const config = readConfig(path)
boundOwnLog(homeFiles(config.home).log)
await startOrExplain(homeFiles(config.home).failure, async () => {
  if (config.engine === "sim") {
    const { runSim } = await import("./sim.ts")
    await startOverIfCompiling(async () => (await import("./load-later.ts")).loadLater())
    await runSim(config)
  } else {
    const { runHost } = await import("./qemu/host.ts")
    await startOverIfCompiling()
    await runHost(config)
  }
})
