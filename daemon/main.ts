/** The daemon: `node daemon/main.ts <home>/config.json [--throwaway]`. */
import { enableCompileCache } from "node:module"
import { startOverIfCompiling } from "#lib/compiled.ts"
import { homeFiles, readConfig } from "./config.ts"
import { startOrExplain } from "./home-records.ts"
import { boundOwnLog } from "./own-log.ts"
import { isThrowaway, removeHome, whenAskerEnds } from "./throwaway.ts"

enableCompileCache()
const path = process.argv[2]
if (path === undefined) {
  console.error("usage: node daemon/main.ts <home>/config.json [--throwaway]")
  process.exit(2)
}
const config = readConfig(path)
const throwaway = isThrowaway(config.home)
boundOwnLog(homeFiles(config.home).log)
await startOrExplain(homeFiles(config.home).failure, async () => {
  if (config.engine === "sim") {
    const { runSim } = await import("./sim.ts")
    await startOverIfCompiling(async () => (await import("./load-later.ts")).loadLater())
    // Nothing of it stands outside of this process and its home, and neither is wanted any more.
    if (throwaway) whenAskerEnds(() => (removeHome(config.home), process.exit(0)))
    await runSim(config)
  } else {
    const { runHost } = await import("./qemu/host.ts")
    await startOverIfCompiling()
    await runHost(config, { throwaway })
  }
})
