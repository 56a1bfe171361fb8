/**
 * Serial consoles by SSH, as one process without privileges in the host's own network:
 *   node guest-services/serial-console/main.ts --host SOCKET --host-key FILE --address ADDRESS --port PORT --listens FILE
 * Takes another port where PORT is taken, and writes the number of the one it listens at into FILE. Ends on SIGTERM.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import type { AddressInfo, Server } from "node:net"
import { flushCompileCache } from "node:module"
import { parseArgs } from "node:util"
import { serialServer } from "./server.ts"

const { values } = parseArgs({
  options: {
    host: { type: "string" },
    "host-key": { type: "string" },
    address: { type: "string", default: "127.0.0.1" },
    port: { type: "string", default: "0" },
    listens: { type: "string" },
  },
})
const { host, "host-key": keyFile, address, port, listens } = values
if (host === undefined || keyFile === undefined || listens === undefined) {
  process.stderr.write("serial-console: --host, --host-key or --listens is missing\n")
  process.exit(2)
}

const log = (line: string) => void process.stdout.write(`serial-console: ${line.slice(0, 200)}\n`)
const server = serialServer({ hostKey: readFileSync(keyFile), host, log })
const listen = (wanted: number) =>
  new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(wanted, address, () => {
      server.off("error", reject)
      resolve()
    })
  })
await listen(Number(port)).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== "EADDRINUSE") throw error
  return listen(0)
})
server.on("error", (error: Error) => log(error.message))
// The server of net that it is made of tells.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const { port: taken } = (server as unknown as Server).address() as AddressInfo
writeFileSync(`${listens}.new`, `${taken}\n`)
renameSync(`${listens}.new`, listens)
log(`listening at ${address}:${taken}`)
flushCompileCache()

process.once("SIGTERM", () => {
  rmSync(listens, { force: true })
  process.exit(0)
})
