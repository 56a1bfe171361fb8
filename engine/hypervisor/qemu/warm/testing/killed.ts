/** For the fault tests: a process that makes a template, or clones one over and over, until it is killed. Arguments: home, prefix, what, specification. */
import path from "node:path"
import { systemClock } from "#lib/clock.ts"
import { openQemu } from "../../driver.ts"

const [home = "", prefix = "", what = "", text = ""] = process.argv.slice(2)
const engine = await openQemu({
  runDirectory: path.join(home, "run"),
  stateDirectory: path.join(home, "state"),
  prefix,
  clock: systemClock(),
  log: () => {},
})
const spec = JSON.parse(text)
spec.identity.userData = new Uint8Array()
process.stdout.write("ready\n")
if (what === "make") await engine.templates?.make(spec, 2_099_990)
else {
  await engine.prepare(spec)
  await engine.resume(spec.id)
}
process.stdout.write("done\n")
setInterval(() => {}, 1000)
