/**
 * A network is exactly as said, with the groups and the guests' ports that belong to it; or it is gone, once no guest holds a
 * port of it. A group is ready once its network's filters hold it.
 */
import { addressesOf } from "#engine/network/addresses.ts"
import type { NetworkDocument, NetworkSpec } from "../protocol/types.ts"
import { runSteps, type Outcome, type Step } from "./steps.ts"
import type { Pass, World } from "./world.ts"

interface Scene {
  readonly spec: NetworkSpec
  readonly world: World
  /** Documents last written, by network. */
  readonly written: Map<string, string>
}

function documentOf({ ports, resolver }: NetworkSpec): NetworkDocument {
  const held = ports
    .flatMap(addressesOf)
    .flatMap(({ publicAddress, address }) => (publicAddress ? [[publicAddress, address] as const] : []))
  const names = ports.flatMap(({ names = [], address }) => names.map((name) => [name, address] as const))
  const called = ports.filter(({ hostName, address }) => hostName !== `ip-${address.replaceAll(".", "-")}`)
  const hostNames = called.map(({ hostName, address }) => [address, hostName] as const)
  return {
    privateAddresses: Object.fromEntries(held),
    ...(names.length > 0 && { names: Object.fromEntries(names) }),
    ...(hostNames.length > 0 && { hostNames: Object.fromEntries(hostNames) }),
    ...(resolver && { resolver }),
  }
}

async function strayPorts({ spec, world }: Scene): Promise<readonly string[]> {
  const there = (await world.network.list()).find((network) => network.id === spec.id)
  const said = new Set(spec.ports.map((port) => port.id))
  return there?.ports.filter((port) => !said.has(port) && world.holder(port) === undefined) ?? []
}

const infrastructure: Step<Scene> = {
  name: "infrastructure",
  // The engine compares for itself, here and below: asking it is how drift is mended.
  holds: () => false,
  make: ({ world }) => world.network.up(),
}
const filters: Step<Scene> = {
  name: "network",
  holds: () => false,
  make: ({ spec, world }) => world.network.ensureNetwork(spec),
}
/** Before a guest that waits for its port here goes on: its name is there when it starts. */
const names: Step<Scene> = {
  name: "names",
  holds: ({ spec, written }) => written.get(spec.id) === JSON.stringify(documentOf(spec)),
  make: async ({ spec, written, world }) => {
    await world.metadata.writeNetwork(spec.id, documentOf(spec))
    written.set(spec.id, JSON.stringify(documentOf(spec)))
  },
}
const ports: Step<Scene> = {
  name: "stray ports",
  holds: async (scene) => (await strayPorts(scene)).length === 0,
  make: async (scene) => {
    for (const port of await strayPorts(scene)) await scene.world.network.removePort(scene.spec.id, port)
  },
}

/** How many times as late as it should be a full look may be. */
const overdue = 4

export function createNetworkReconciler(): (pass: Pass) => Promise<Outcome> {
  /** Monotonic times of the last full looks, at what is common to all and by network: between them only changes are handed on. */
  const looks = new Map<string, number>()
  const written = new Map<string, string>()
  let commonMs = -Infinity
  return async (pass) => {
    const { entry, world, report, routine } = pass
    if (entry.wish?.kind !== "network") {
      looks.delete(entry.resource)
      written.delete(entry.resource)
      return removed(pass)
    }
    const { wish } = entry
    const spec = world.networkSpec(wish)
    const nowMs = world.clock.monotonicMs()
    // A full look takes a tenth of a second and more, for which a launch would wait: it is for a pass that nobody asked for, and for
    // those that mend. One that is long overdue is taken all the same.
    const dueMs = routine || entry.work.failures > 0 ? world.fullLookMs : overdue * world.fullLookMs
    const common = nowMs - commonMs >= dueMs
    const full = nowMs - (looks.get(spec.id) ?? -Infinity) >= dueMs
    if (full) written.delete(spec.id)
    const steps = [...(common ? [infrastructure] : []), filters, names, ...(full ? [ports] : [])]
    const outcome = await runSteps(steps, { spec, world, written }, pass.superseded)
    if (outcome.kind !== "settled") return outcome
    if (common) commonMs = nowMs
    if (full) looks.set(spec.id, nowMs)
    const parts = [...spec.groups, ...spec.ports]
    entry.applied = new Map([
      [entry.resource, JSON.stringify(wish)] as const,
      ...parts.map((part) => [part.id, JSON.stringify(part)] as const),
    ])
    report({ kind: "network", phase: "ready" })
    world.wake(entry.resource)
    return outcome
  }
}

async function removed({ entry, world, report }: Pass): Promise<Outcome> {
  const holder = world.holder(entry.resource)
  report({ kind: "network", phase: "pending" })
  if (holder !== undefined) return { kind: "waiting", resource: holder }
  entry.applied = undefined
  const there = (await world.network.list()).some((network) => network.id === entry.resource)
  // First: once the network is gone, nobody looks for what else there was of it.
  await world.metadata.removeNetwork(entry.resource)
  if (there) await world.network.removeNetwork(entry.resource)
  report({ kind: "network", phase: "absent" })
  return { kind: "gone" }
}

export async function reconcileGroup({ entry, world, report }: Pass): Promise<Outcome> {
  const wish = entry.wish?.kind === "group" ? entry.wish : undefined
  const network = wish?.network ?? entry.network
  const owner = network === undefined ? undefined : world.entry(network)
  const applied = owner?.applied?.get(entry.resource)
  if (applied === (wish && JSON.stringify(wish.group))) {
    report({ kind: "group", phase: wish ? "ready" : "absent" })
    return { kind: wish ? "settled" : "gone" }
  }
  const trouble = owner?.status?.trouble
  report({ kind: "group", phase: "pending", ...(trouble ? { trouble } : {}) })
  return { kind: "waiting", resource: network! }
}
