/**
 * The API process on `--engine qemu`: user `fractus`, no privileges, the control plane. `node daemon/qemu/api.ts HOME SOCKET PID`: the home as it
 * sees it, the host's socket, the daemon's pid. It ends when the host does: a new host starts a new one.
 */
import { enableCompileCache } from "node:module"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { connectHost } from "#host/socket/client.ts"
import { systemClock } from "#lib/clock.ts"
import { startOverIfCompiling } from "#lib/compiled.ts"
import { openSqliteStore } from "#store/sqlite/open.ts"
import { homeFiles, readConfig } from "../config.ts"
import { startControlPlane } from "../control-plane.ts"
import { readCredentials, startOrExplain } from "../home-records.ts"
import { loadLater } from "../load-later.ts"
import { upgrades } from "../upgrades.ts"
import { publicImages, watchImages } from "./images.ts"

enableCompileCache()
const [home, socket, daemonPid] = process.argv.slice(2)
if (home === undefined || socket === undefined || daemonPid === undefined) {
  console.error("usage: node daemon/qemu/api.ts HOME SOCKET PID")
  process.exit(2)
}

await startOverIfCompiling(loadLater)
await startOrExplain(join(homeFiles(home).store, "failure.json"), async () => {
  const config = readConfig(join(home, "config.json"))
  const credentials = readCredentials(home)
  if (credentials === undefined) throw new Error("the home has no credentials")
  const clock = systemClock()
  const [connection, store] = await Promise.all([
    connectHost(socket),
    openSqliteStore({ directory: homeFiles(home).store, upgrades }),
  ])
  // A replaced or dead host: what is said here would reach nobody.
  connection.onClose(() => process.exit(0))
  const facts = await connection.facts()
  const { images } = homeFiles(home)
  const plane = await startControlPlane({
    config: { ...config, home },
    clock,
    store,
    connection,
    facts,
    images: () => publicImages(connection, images),
    credentials,
    daemonPid: Number(daemonPid),
    shutdown: (guests) => void connection.shutdown?.(guests),
  })
  watchImages(images, () => plane.lookAtImages())
  process.once("SIGTERM", () => void plane.close().finally(() => process.exit(0)))
  console.error(
    `${new Date().toISOString()} serving ${plane.endpoint}, uid ${process.getuid?.()}, umask ${readFileSync("/proc/self/status", "utf8").match(/Umask:\s+(\d+)/)?.[1]}`,
  )
})
