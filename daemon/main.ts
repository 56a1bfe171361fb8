/** The daemon: `node daemon/main.ts <home>/config.json`. */
import { enableCompileCache } from "node:module"
import { homeFiles, readConfig } from "./config.ts"
import { startOrExplain } from "./home-records.ts"

enableCompileCache()
const path = process.argv[2]
if (path === undefined) {
  console.error("usage: node daemon/main.ts <home>/config.json")
  process.exit(2)
}
const config = readConfig(path)
await startOrExplain(homeFiles(config.home).failure, async () => {
  if (config.engine === "sim") await (await import("./sim.ts")).runSim(config)
  else await (await import("./qemu/host.ts")).runHost(config)
})
