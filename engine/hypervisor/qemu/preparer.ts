/** For the fault tests: a process that prepares machines one after another until it is killed. Arguments: home, prefix. */
import path from "node:path"
import { systemClock } from "#lib/clock.ts"
import { openQemu } from "./driver.ts"
import { tinySpec } from "./tiny-guest.ts"

const [home = "", prefix = ""] = process.argv.slice(2)
const engine = await openQemu({
  runDirectory: path.join(home, "run"),
  stateDirectory: path.join(home, "state"),
  prefix,
  clock: systemClock(),
  log: () => {},
})
process.stdout.write("ready\n")
for (let number = 0; ; number++) {
  const id = `i-${process.pid}-${number}`
  await engine.prepare(tinySpec(id, path.join(home, `${id}.raw`), "deaf"))
  await engine.resume(id)
  await engine.kill(id)
}
