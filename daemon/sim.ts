/** `--engine sim`: everything in one process without privileges. */
import { randomUUID } from "node:crypto"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { openSim } from "#engine/hypervisor/sim/sim.ts"
import { openSimNetwork } from "#engine/network/sim/open.ts"
import { openSimStorage } from "#engine/storage/sim/storage.ts"
import { memoryMetadata } from "#host/metadata.ts"
import { createHost } from "#host/reconcile/host.ts"
import type { ImageSource } from "#host/types.ts"
import { catalog } from "#images/catalog.ts"
import { systemClock } from "#lib/clock.ts"
import { openSqliteStore } from "#store/sqlite/open.ts"
import { type Config, homeFiles } from "./config.ts"
import { type ControlPlane, startControlPlane } from "./control-plane.ts"
import { ensureCredentials, startTimeOf, writeWhole } from "./home-records.ts"
import { upgrades } from "./upgrades.ts"

/** Public addresses of simulated instances: documentation of what a home of slot 0 would have. */
const publicCidr = "198.18.0.0/15"
/** When the simulated images were made: a fixed day, so that every home says the same. */
const imagesMadeMs = Date.UTC(2026, 10, 21)

export async function runSim(config: Config): Promise<void> {
  const clock = systemClock(config.simSpeed)
  if (config.tls) (await import("./tls/keep.ts")).keepCertificates(config.home, console.error)
  const images = catalog.map((image) => ({ ...image, createdMs: imagesMadeMs }))
  const [store, hypervisor, network, storage] = await Promise.all([
    openSqliteStore({ directory: homeFiles(config.home).store, upgrades }),
    openSim({ clock }),
    openSimNetwork({ publicCidr: config.publicCidr ?? publicCidr }),
    openSimStorage({ home: config.home, images }),
  ])
  const source: ImageSource = {
    list: async () => images,
    find: async (id) =>
      images
        .filter((image) => image.id === id)
        .map((image) => ({ architecture: image.architecture, boot: { kind: "firmware" as const } }))[0],
  }
  const connection = createHost({
    hypervisor,
    network,
    storage,
    metadata: memoryMetadata(),
    images: source,
    clock,
    log: (message, fields) => console.error(message, fields ?? ""),
    uidBase: 0,
    publicCidr: config.publicCidr ?? publicCidr,
    stateDirectory: join(config.home, "host"),
    // Simulated guests end with the process: to them every start of it is a boot of the machine.
    bootId: randomUUID(),
    limits: { starts: 64, others: 64 },
    processes: () => [{ name: "fractus", pid: process.pid }],
  })
  let plane: ControlPlane | undefined
  const stop = () => {
    void (plane?.close() ?? Promise.resolve()).finally(() => {
      rmSync(homeFiles(config.home).record, { force: true })
      process.exit(0)
    })
  }
  plane = await startControlPlane({
    config,
    clock,
    store,
    connection,
    facts: await connection.facts(),
    images: async () => images,
    credentials: ensureCredentials(config.home, config.account, config.region),
    daemonPid: process.pid,
    shutdown: stop,
  })
  process.once("SIGTERM", stop)
  process.once("SIGINT", stop)
  writeWhole(homeFiles(config.home).record, {
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    endpoint: plane.endpoint,
    engine: "sim",
    accelerator: "none",
  })
}
