/** For the fault tests: a process that makes a template or a clone until it is killed, or until it would tell a clone to go on. "pool" gives it one that waits, "wait" makes that. Arguments: home, prefix, what, specification. */
import { execFileSync } from "node:child_process"
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
/** Of a disk beside the machine's, by its name with ".spare". */
const wait = async () => {
  const disks = spec.disks.map((disk: { path: string }) => ({ ...disk, path: `${disk.path}.spare` }))
  spec.fromPool = await engine.templates?.pool?.add({ ...spec, disks }, { first: 2_099_700, count: 4 })
}
if (what === "pool") await wait()
process.stdout.write("ready\n")
if (what === "wait") await wait()
else if (what === "make") await engine.templates?.make(spec, 2_099_990)
else {
  const { tap } = await engine.prepare(spec)
  // Of one from the pool: into the tests' namespace, as a host plugs it.
  if (tap) execFileSync("ip", ["-n", tap.namespace, "link", "set", tap.device, "netns", prefix, "name", "tap1"])
  await engine.resume(spec.id)
}
process.stdout.write("done\n")
setInterval(() => {}, 1000)
