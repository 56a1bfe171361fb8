/** For the fault tests: a process that makes a template or a clone until it is killed, or until it would tell a clone to go on. Arguments: home, prefix, what, specification. */
import { Socket } from "node:net"
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
spec.identity.userData = Buffer.from(spec.identity.userData)
if (what === "unheard") {
  const write = Reflect.get(Socket.prototype, "end")
  Socket.prototype.end = function (this: Socket, ...words: unknown[]) {
    if (words[0] === "go\n") process.kill(process.pid, "SIGKILL")
    return Reflect.apply(write, this, words)
  }
}
process.stdout.write("ready\n")
if (what === "make") await engine.templates?.make(spec, 2_099_990)
else {
  await engine.prepare(spec)
  await engine.resume(spec.id)
}
process.stdout.write("done\n")
setInterval(() => {}, 1000)
