/** `node daemon/clean.ts <home>/config.json`: ends what a home left running when its daemon is gone. Data stays. */
import { readFileSync, rmSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { homeFiles, readConfig } from "./config.ts"
import { openStack, tearDown } from "./qemu/stack.ts"

const path = process.argv[2]
if (path === undefined) {
  console.error("usage: node daemon/clean.ts <home>/config.json")
  process.exit(2)
}
const config = readConfig(path)
if (config.engine === "qemu") {
  const stack = await openStack(config, (line) => console.error(line))
  await endChildren(join(stack.runDirectory, "processes"))
  await tearDown(stack)
}
rmSync(homeFiles(config.home).record, { force: true })

/** Processes that the dead daemon supervised: `<name>.json` with pid and start time. */
async function endChildren(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter((entry) => entry.endsWith(".json"))) {
    const { pid, startTime } = JSON.parse(readFileSync(join(directory, name), "utf8")) as {
      pid: number
      startTime: string
    }
    const { lives, signal } = await import("#host/supervise/process.ts")
    if (lives({ pid, startTime })) signal({ pid, startTime }, "SIGKILL")
  }
}
