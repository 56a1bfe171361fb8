/** The daemon: `node daemon/main.ts <home>/config.json`. */
import { enableCompileCache } from "node:module"
import { homeFiles, readConfig } from "./config.ts"
import { startOrExplain } from "./home-records.ts"
import { boundOwnLog } from "./own-log.ts"

enableCompileCache()
const path = process.argv[2]
if (path === undefined) {
  console.error("usage: node daemon/main.ts <home>/config.json")
  process.exit(2)
}
if (path === "--compile") {
  await (await import("./compile.ts")).compileAll()
  process.exit(0)
}
const config = readConfig(path)
boundOwnLog(homeFiles(config.home).log)
await startOrExplain(homeFiles(config.home).failure, async () => {
  if (config.engine === "sim") await (await import("./sim.ts")).runSim(config)
  else await (await import("./qemu/host.ts")).runHost(config)
})
