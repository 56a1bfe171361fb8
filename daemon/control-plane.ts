/** The control plane, put together: store, cloud, services, listener. The same in one process on sim and without privileges on qemu. */
import { join } from "node:path"
import type { Cloud } from "#cloud/call.ts"
import { createHostLink, type HostLink } from "#cloud/hosts/link.ts"
import { createAccount, keySource, rootOf } from "#cloud/identity/accounts.ts"
import type { HostConnection, HostFacts } from "#host/protocol/types.ts"
import type { Clock } from "#lib/clock.ts"
import { sweepCapacityReservations } from "#services/ec2/capacity-reservations/handlers.ts"
import { sweepHosts } from "#services/ec2/dedicated-hosts/handlers.ts"
import { endingFastLaunches } from "#services/ec2/fast-launch/observe.ts"
import { endingInstances, sweepTerminated } from "#services/ec2/instances/sweep.ts"
import { type PublicImage, registerPublicImages } from "#services/ec2/images/register.ts"
import { createEc2, observe } from "#services/ec2/service.ts"
import type { Store } from "#store/types.ts"
import { createWireServer, type WireServer } from "#wire/http/server.ts"
import { bindings } from "./bindings.ts"
import { type Config, homeFiles } from "./config.ts"
import type { Credentials } from "./home-records.ts"
import { openObjectsLater } from "./objects.ts"
import { openTrail, recordCall } from "./trail.ts"
import { createPages, type Shutdown } from "./pages/pages.ts"

export interface ControlPlaneOptions {
  readonly config: Config
  readonly clock: Clock
  readonly store: Store
  readonly connection: HostConnection
  readonly facts: HostFacts
  /** The images there are now. Asked at the start, after a reset and by `lookAtImages`. */
  readonly images: () => Promise<readonly PublicImage[]>
  readonly credentials: Credentials
  /** Pid that `status` names as the daemon's. */
  readonly daemonPid: number
  /** Asked for by `fractus down`. */
  readonly shutdown: Shutdown
}

export interface ControlPlane {
  readonly endpoint: string
  readonly server: WireServer
  /** Makes the public images what `images` gives now. */
  lookAtImages(): Promise<void>
  close(): Promise<void>
}

const sweepEveryMs = 60_000
const drainMs = 5_000

export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { config, clock, store, connection, facts } = options
  const log = (message: string, error: unknown) => console.error(message, error)
  let link: HostLink | undefined
  const cloud: Cloud = {
    store,
    clock,
    sink: (commit, result) => link?.sink(commit, result),
    settings: {
      engine: config.engine,
      unknownAmi: config.unknownAmi,
      capacity: config.engine === "sim" ? undefined : { cpus: facts.cpus, memoryMiB: facts.memoryMiB },
      architectures: ["x86_64"],
      publicCidr: facts.publicCidr,
      ...(config.throttle === true && { throttle: true }),
      ...(config.vcpuLimit === undefined ? {} : { vcpuLimit: config.vcpuLimit }),
    },
    hosts: {
      consoleOutput: (_host, guest, maxBytes) => connection.consoleOutput(guest, maxBytes),
      screenshot: (_host, guest, wake) => connection.screenshot(guest, wake),
      interrupt: (_host, guest) => connection.interrupt(guest),
      ...(config.engine === "qemu" && {
        serialKey: async (_host: string, guest: string, key: string) =>
          (await connection.serialKey?.(guest, key)) ?? "unavailable",
      }),
    },
  }
  link = createHostLink({ store, connection, observe: (observed) => observe(cloud, observed), log })
  const ec2 = createEc2(cloud)
  const objects = openObjectsLater(join(homeFiles(config.home).store, "objects"))
  const trail = openTrail(homeFiles(config.home).store, clock, log)
  const furnish = async () => {
    await ensureRootAccount(cloud, options.credentials)
    await registerPublicImages(cloud, await options.images())
  }
  await furnish()
  await link.start([...(await endingInstances(cloud)), ...(await endingFastLaunches(store))])

  const pages = createPages({
    ...options,
    cloud,
    link,
    endpoint: () => endpoint,
    async reset() {
      await store.reset()
      ec2.forget()
      await Promise.all([link.reset(), trail.reset(), objects.reset(), furnish()])
    },
  })
  const server = createWireServer({
    services: bindings({ cloud, ec2, trail, objects }),
    secrets: keySource(store),
    auth: config.auth,
    defaultCaller: rootOf(config.account, options.credentials.accessKeyId),
    defaultRegion: config.region,
    revision: () => store.revision?.(),
    clock,
    local: pages,
    onCall: (call) => recordCall(trail, call),
    log,
  })
  // Loaded only where it is asked for: it costs memory.
  if (config.tls) (await import("./tls/keep.ts")).showCertificate(server.server, config.home)
  const { port } = await server.listen(config.port, config.address)
  const endpoint = `http://${config.address}:${port}`
  const sweeper = setInterval(
    () => {
      void sweepTerminated(cloud).catch((error: unknown) => log("sweeping terminated instances", error))
      void sweepHosts(cloud).catch((error: unknown) => log("forgetting released hosts", error))
      void sweepCapacityReservations(cloud).catch((error: unknown) => log("ending capacity reservations", error))
    },
    Math.max(1000, sweepEveryMs / clock.speed),
  )
  sweeper.unref()
  return {
    endpoint,
    server,
    lookAtImages: async () => registerPublicImages(cloud, await options.images()),
    async close() {
      clearInterval(sweeper)
      await server.drain(drainMs)
      await connection.close()
      await Promise.all([trail.close(), objects.close()])
      await store.close()
    },
  }
}

/** Puts the account of the home's credentials into a store that does not have it: a new one, or one that was emptied. */
async function ensureRootAccount(cloud: Cloud, { account, accessKeyId, secretAccessKey }: Credentials): Promise<void> {
  const owner = await keySource(cloud.store)(accessKeyId)
  if (owner === undefined) await createAccount(cloud, "root", { account, keys: { accessKeyId, secretAccessKey } })
}
