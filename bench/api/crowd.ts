/** A cloud of 100,000 instances: filtered pages over the wire. */
import { join } from "node:path"
import { newId, type Resource, type Tag, type Tagged, toPut, type Kind } from "#cloud/resources/kind.ts"
import { upgrades } from "#daemon/upgrades.ts"
import { instanceKind, type InstanceRecord } from "#services/ec2/instances/record.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "#services/ec2/network-interfaces/record.ts"
import { openSqliteStore } from "#store/sqlite/open.ts"
import type { PutResource, Store } from "#store/types.ts"
import { type Result, result } from "../report/result.ts"
import { ask, load } from "./client.ts"
import { call, firstImage, runInstances } from "./compare.ts"
import { type Daemon, defaultRegion, settled, withHome } from "./daemon.ts"
import { signedRequests } from "./sign.ts"

const crowd = 100_000
const pageRows = 100
const times = 20
const limitMs = 20
/** No index knows how values end: all values of the tag are looked through. */
const looseLimitMs = 100
const batch = 500

const filters: readonly (readonly [name: string, limitMs: number, parameters: Readonly<Record<string, string>>])[] = [
  ["a tag that 100 have", limitMs, { "Filter.1.Name": "tag:Team", "Filter.1.Value.1": "team-0421" }],
  ["state running, half of all", limitMs, { "Filter.1.Name": "instance-state-name", "Filter.1.Value.1": "running" }],
  ["a tag with wildcards that 100 have", limitMs, { "Filter.1.Name": "tag:Name", "Filter.1.Value.1": "web-421*-of-*" }],
  [
    "state, type and a tag that begins with a wildcard",
    looseLimitMs,
    {
      "Filter.1.Name": "instance-state-name",
      "Filter.1.Value.1": "stopped",
      "Filter.2.Name": "tag:Name",
      "Filter.2.Value.1": "*-of-000?*",
      "Filter.3.Name": "instance-type",
      "Filter.3.Value.1": "t3.micro",
    },
  ],
]

export function measureCrowd(note: (text: string) => void): Promise<readonly Result[]> {
  return withHome("on", async (home) => {
    note(`filling ${crowd} instances`)
    const first = await home.start()
    await call(first, defaultRegion, { ...runInstances(1), ImageId: await firstImage(first) })
    await settled(first.port)
    await first.stop()
    await fill(join(home.path, "store"))
    const daemon = await home.start()
    const results: Result[] = []
    for (const [name, withinMs, parameters] of filters) {
      note(`a page of those with ${name}`)
      results.push(await measurePage(daemon, name, withinMs, parameters))
    }
    return results
  })
}

/**
 * One page again and again, one client. Between two, something else in the cloud changes, so that every page is looked up
 * and written anew.
 */
async function measurePage(
  daemon: Daemon,
  name: string,
  withinMs: number,
  parameters: Readonly<Record<string, string>>,
): Promise<Result> {
  const target = { ...daemon, region: defaultRegion }
  const page = { Action: "DescribeInstances", MaxResults: String(pageRows), ...parameters }
  const signed = signedRequests(target, page, times + 5)
  const { body } = await ask(daemon.port, signed[0] ?? Buffer.alloc(0))
  const rows = body.toString("latin1").match(/<instanceId>/g)?.length
  if (rows !== pageRows) throw new Error(`a page of ${rows} instead of ${pageRows}: ${name}`)
  const timesMs: number[] = []
  for (const [at, request] of signed.entries()) {
    await call(daemon, defaultRegion, { Action: "CreateKeyPair", KeyName: `${name} ${at}`, KeyType: "ed25519" })
    const [timeMs = Number.NaN] = await load(daemon.port, [request], 1, 1)
    if (at >= 5) timesMs.push(timeMs)
  }
  return result(`Page of ${pageRows} of ${crowd} instances by ${name}`, "ms", withinMs, timesMs)
}

/** Copies the one instance of a home that nobody serves, with its interface, as the services would have stored them. */
async function fill(directory: string): Promise<void> {
  const store = await openSqliteStore({ directory, upgrades })
  try {
    const instance = await only(store, instanceKind)
    const networkInterface = await only(store, networkInterfaceKind)
    for (let from = 1; from < crowd; from += batch) {
      const puts: PutResource[] = []
      for (let at = from; at < Math.min(from + batch, crowd); at++) puts.push(...copy(instance, networkInterface, at))
      await store.commit({ put: puts })
    }
  } finally {
    await store.close()
  }
}

async function only<R extends Tagged>(store: Store, kind: Kind<R>): Promise<Resource<R>> {
  const { items } = await store.query({ kind: kind.name, accounts: [], regions: [], limit: 2 })
  if (items.length !== 1) throw new Error(`${items.length} of ${kind.name} instead of one`)
  return items[0] as unknown as Resource<R>
}

function copy(
  instance: Resource<InstanceRecord>,
  networkInterface: Resource<NetworkInterfaceRecord>,
  at: number,
): readonly PutResource[] {
  const group = String(at % 1000).padStart(4, "0")
  const name = `web-${String(at).padStart(6, "0")}`
  const tags: readonly Tag[] = [
    { key: "Name", value: `web-${group.slice(1)}${String(at).padStart(6, "0")}-of-${group}` },
    { key: "Team", value: `team-${group}` },
  ]
  const id = newId("i")
  const interfaceId = newId("eni")
  const address = `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`
  const record: InstanceRecord = {
    ...instance.record,
    reservation: newId("r"),
    state: at % 2 === 0 ? "running" : "stopped",
    type: at % 4 < 3 ? "t3.micro" : "m5.large",
    networkInterfaces: [interfaceId],
    address,
    dnsName: `${name}.internal`,
    tags,
  }
  const attachment = networkInterface.record.attachment
  return [
    toPut(instanceKind, { ...instance, id, record }),
    toPut(networkInterfaceKind, {
      ...networkInterface,
      id: interfaceId,
      record: {
        ...networkInterface.record,
        address,
        ...(attachment === undefined ? {} : { attachment: { ...attachment, id: newId("eni-attach"), instance: id } }),
      },
    }),
  ]
}
