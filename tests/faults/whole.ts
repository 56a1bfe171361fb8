/** What must hold in the store between any two commits: nothing is half made, and nobody's address or disk is left over. */
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { homeFiles } from "#daemon/config.ts"
import type { AddressRecord } from "#services/ec2/addresses/record.ts"
import type { InstanceRecord } from "#services/ec2/instances/record.ts"
import type { NetworkInterfaceRecord } from "#services/ec2/network-interfaces/record.ts"
import type { VolumeRecord } from "#services/ec2/volumes/record.ts"
import { toNumber } from "#services/ec2/vpcs/addresses.ts"
import { subnetScope } from "#services/ec2/vpcs/subnet-scope.ts"

interface Contents {
  readonly instances: ReadonlyMap<string, InstanceRecord>
  readonly interfaces: ReadonlyMap<string, NetworkInterfaceRecord>
  readonly volumes: ReadonlyMap<string, VolumeRecord>
  /** Elastic IP addresses, by allocation. */
  readonly addresses: ReadonlyMap<string, AddressRecord>
  readonly tags: ReadonlyMap<string, { readonly resource: string }>
  readonly ids: ReadonlySet<string>
  /** "scope key" -> owner. */
  readonly claims: ReadonlyMap<string, string>
  readonly assigned: ReadonlyMap<string, string>
  readonly references: readonly { readonly from: string; readonly to: string; readonly role: string }[]
}

/** Sentences about what is wrong; none when the store is whole. Reads beside a daemon that runs, or through a connection of the caller's. */
export function brokenIn(home: string, through?: DatabaseSync): readonly string[] {
  const contents = through === undefined ? readBeside(home) : readContents(through)
  const wrong: string[] = []
  const must = (holds: boolean, sentence: string) => void (holds || wrong.push(sentence))
  for (const [id, instance] of contents.instances) checkInstance(contents, id, instance, must)
  for (const [id, found] of contents.interfaces) checkInterface(contents, id, found, must)
  for (const [id, { attachment }] of contents.volumes) {
    const blockDevices = contents.instances.get(attachment?.instance ?? "")?.blockDevices ?? []
    must(blockDevices.some((device) => device.volume === id) || attachment === undefined, `${id} is an orphan`)
    must(contents.assigned.has(id), `${id} is not known to the host`)
  }
  checkLeftovers(contents, must)
  return wrong
}

type Must = (holds: boolean, sentence: string) => void

function checkInstance(
  { interfaces, volumes, claims, assigned }: Contents,
  id: string,
  it: InstanceRecord,
  must: Must,
) {
  if (it.state === "terminated") {
    must(it.blockDevices.length + it.networkInterfaces.length === 0, `${id} is terminated and has parts`)
    must(!assigned.has(id), `${id} is terminated and assigned`)
    return
  }
  must(it.networkInterfaces.length === 1, `${id} has ${it.networkInterfaces.length} interfaces`)
  must(it.blockDevices.length > 0, `${id} has no volume`)
  must(claims.get(`guest-number ${it.number}`) === id, `${id} does not hold its number`)
  must(assigned.has(id) === (it.state !== "shutting-down"), `${id} is ${it.state}, assigned: ${assigned.has(id)}`)
  for (const network of it.networkInterfaces) {
    must(interfaces.get(network)?.attachment?.instance === id, `${network} of ${id} is not attached to it`)
    const shown = interfaces.get(network)?.publicAddress?.address
    must(shown === it.publicAddress, `${id} shows ${it.publicAddress}, ${network} has ${shown}`)
  }
  for (const { volume } of it.blockDevices)
    must(volumes.get(volume)?.attachment?.instance === id, `${volume} of ${id} is not attached to it`)
  const on = it.state === "running" || it.state === "pending"
  const power = assigned.get(id)
  must(power === undefined || (power === "on") === on, `${id} is ${it.state}, the host's wish is ${power}`)
}

function checkInterface({ instances, claims }: Contents, id: string, it: NetworkInterfaceRecord, must: Must) {
  const owner = instances.get(it.attachment?.instance ?? "")
  must(it.attachment === undefined || owner?.networkInterfaces.includes(id) === true, `${id} is an orphan`)
  must(claims.get(`port-number ${it.number}`) === id, `${id} does not hold its number`)
  must(claims.get(`${subnetScope(it.subnet)} ${toNumber(it.address)}`) === id, `${id} does not hold ${it.address}`)
  if (it.publicAddress === undefined) return
  // An Elastic IP address is its allocation's.
  const { address, allocation = id } = it.publicAddress
  must(claims.get(`public-address ${toNumber(address)}`) === allocation, `${allocation} does not hold ${address}`)
}

function checkLeftovers(contents: Contents, must: Must) {
  const { addresses, instances, interfaces, tags, ids, claims, assigned, references } = contents
  for (const [id, { resource }] of tags)
    must(ids.has(resource) || resource.startsWith("sgr-"), `${id} tags what is not there`)
  for (const { from, to, role } of references)
    must(role === "mentions" || (ids.has(from) && ids.has(to)), `${from} ${role} ${to} has a loose end`)
  for (const id of assigned.keys()) must(ids.has(id), `the host has ${id}, which is not there`)
  for (const [name, owner] of claims) {
    const [scope, key] = name.split(" ") as [string, string]
    const holder = interfaces.get(owner)
    if (scope === "guest-number") must(instances.get(owner)?.number === Number(key), `${name} is left over`)
    if (scope === "port-number") must(holder?.number === Number(key), `${name} is left over`)
    if (scope.startsWith("subnet/"))
      must(holder !== undefined && toNumber(holder.address) === Number(key), `${name} is left over`)
    if (scope === "public-address") {
      const address = addresses.get(owner)?.address ?? holder?.publicAddress?.address
      must(address !== undefined && toNumber(address) === Number(key), `${name} is left over`)
    }
  }
}

function readBeside(home: string): Contents {
  const db = new DatabaseSync(join(homeFiles(home).store, "store.sqlite"), { readOnly: true, timeout: 5000 })
  try {
    db.exec("begin")
    return readContents(db)
  } finally {
    db.close()
  }
}

function readContents(db: DatabaseSync): Contents {
  // Rows of our own tables, in the shapes of 0001-tables.ts.
  const rows = (sql: string) => db.prepare(sql).all() as unknown as readonly Record<string, string>[]
  const resources = rows("select r.id, s.kind, r.record from resource r join scope s on s.id = r.scope")
  const ofKind = <R>(kind: string) =>
    new Map(
      resources
        .filter((row) => row["kind"] === kind)
        .map((row) => [row["id"] as string, JSON.parse(row["record"] as string) as R] as const),
    )
  return {
    instances: ofKind<InstanceRecord>("instance"),
    interfaces: ofKind<NetworkInterfaceRecord>("network-interface"),
    volumes: ofKind<VolumeRecord>("volume"),
    addresses: ofKind<AddressRecord>("elastic-ip"),
    tags: ofKind<{ resource: string }>("tag"),
    ids: new Set(resources.map((row) => row["id"] as string)),
    claims: new Map(
      rows("select * from claim").map((row) => [`${row["scope"]} ${row["key"]}`, row["owner"] as string]),
    ),
    assigned: new Map(
      rows("select resource, spec ->> 'power' as power from assignment").map(
        (row) => [row["resource"] as string, row["power"] as string] as const,
      ),
    ),
    references: rows('select "from", "to", role from reference') as unknown as Contents["references"],
  }
}
