/** For the fault tests: a process that hibernates a machine and has it go on, over and over, until it is killed. Arguments: home, prefix, id. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { systemClock } from "#lib/clock.ts"
import { removeMemoryImage } from "../memory-image.ts"
import { openQemu } from "./driver.ts"
import { tinySpec } from "./tiny-guest.ts"

const [home = "", prefix = "", id = ""] = process.argv.slice(2)
const engine = await openQemu({
  runDirectory: path.join(home, "run"),
  stateDirectory: path.join(home, "state"),
  prefix,
  clock: systemClock(),
  log: () => {},
})
const image = { path: path.join(home, "image"), key: readFileSync(path.join(home, "key")) }
const spec = tinySpec(id, path.join(home, `${id}.raw`), "obedient")
process.stdout.write("ready\n")
for (;;) {
  await engine.hibernate(id, image)
  await engine.prepare({ ...spec, resumeFrom: image })
  removeMemoryImage(image.path)
  await engine.resume(id)
}
