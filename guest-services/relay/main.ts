/**
 * The relay of names, as one process without privileges in the host's own network:
 *   node guest-services/relay/main.ts --socket PATH [--resolv-conf /etc/resolv.conf]
 * PATH is a unix socket: its folder decides who comes near, its group who may ask. Prints one line when it listens; ends on SIGTERM.
 */
import { once } from "node:events"
import { chmodSync, renameSync, rmSync } from "node:fs"
import { flushCompileCache } from "node:module"
import { parseArgs } from "node:util"
import { systemClock } from "#lib/clock.ts"
import { hostResolvers } from "../dns/host-resolvers.ts"
import { relayServer } from "./server.ts"

const { values } = parseArgs({
  options: { socket: { type: "string" }, "resolv-conf": { type: "string", default: "/etc/resolv.conf" } },
})
const { socket: path } = values
if (path === undefined) {
  process.stderr.write("relay: --socket is missing\n")
  process.exit(2)
}

const clock = systemClock()
const resolvers = hostResolvers(clock, { used: values["resolv-conf"] })
const server = relayServer({ clock, resolvers: () => resolvers().named })
// Under another name until it is open to its group: who finds the socket may use it, also where one of before stood.
const unfinished = `${path}.new`
rmSync(unfinished, { force: true })
server.listen(unfinished, 16)
await once(server, "listening")
chmodSync(unfinished, 0o660)
renameSync(unfinished, path)
process.stdout.write("relay: listening\n")
flushCompileCache()

process.once("SIGTERM", () => {
  rmSync(path, { force: true })
  process.exit(0)
})
