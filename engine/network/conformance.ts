/** What every driver of the network engine must do, packets aside. Run by a test file of each driver. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Group, NetworkEngine, NetworkSpec, PortSpec } from "./types.ts"

export interface Subject {
  readonly engine: NetworkEngine
  close(): Promise<void>
}

const all = { protocol: "-1", cidrs: ["0.0.0.0/0"], cidrs6: [], groups: [] } as const
const web: Group = {
  id: "sg-web",
  ingress: [
    {
      protocol: "tcp",
      fromPort: 80,
      toPort: 80,
      cidrs: ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8"],
      cidrs6: ["::/0"],
      groups: [],
    },
    { protocol: "6", fromPort: 1, toPort: 65535, cidrs: ["10.1.2.3/8"], cidrs6: [], groups: ["sg-web", "sg-gone"] },
    { protocol: "udp", cidrs: ["192.0.2.0/24", "192.0.2.128/25"], cidrs6: [], groups: [] },
    { protocol: "icmp", fromPort: 8, toPort: 0, cidrs: ["0.0.0.0/0"], cidrs6: [], groups: [] },
    { protocol: "icmp", fromPort: 3, toPort: -1, cidrs: ["0.0.0.0/0"], cidrs6: [], groups: [] },
    { protocol: "icmp", fromPort: -1, toPort: -1, cidrs: ["0.0.0.0/0"], cidrs6: [], groups: [] },
    { protocol: "icmpv6", fromPort: -1, toPort: -1, cidrs: [], cidrs6: ["::/0"], groups: [] },
    { protocol: "50", cidrs: ["0.0.0.0/0"], cidrs6: [], groups: [] },
    { protocol: "tcp", fromPort: 0, toPort: 65535, cidrs: [], cidrs6: [], groups: [] },
  ],
  egress: [all],
}

const portOf = (number: number, more: Partial<PortSpec> = {}): PortSpec => ({
  id: `eni-${number}`,
  number,
  subnet: "subnet-a",
  mac: `02:00:00:00:00:0${number}`,
  address: `10.0.0.${10 + number}`,
  hostName: `ip-10-0-0-${10 + number}`,
  groups: ["sg-web"],
  checkSource: true,
  ...more,
})

const networkOf = (number: number, ports: readonly PortSpec[]): NetworkSpec => ({
  id: `vpc-${number}`,
  number,
  cidr: "10.0.0.0/16",
  subnets: [
    { id: "subnet-a", cidr: "10.0.0.0/24", gateway: "10.0.0.1", internet: true },
    { id: "subnet-b", cidr: "10.0.1.0/24", gateway: "10.0.1.1", internet: false },
  ],
  groups: [web, { id: "sg-empty", ingress: [], egress: [] }],
  ports,
  domainName: "ec2.internal",
})

const invalid: readonly [string, (spec: NetworkSpec) => NetworkSpec][] = [
  ["an id that is a path", (spec) => ({ ...spec, id: "../etc" })],
  ["number 0", (spec) => ({ ...spec, number: 0 })],
  ["a domain with a new line", (spec) => ({ ...spec, domainName: "a\nport=53" })],
  ["a CIDR with host bits", (spec) => ({ ...spec, cidr: "10.0.0.1/16" })],
  ["a CIDR that holds the metadata address", (spec) => ({ ...spec, cidr: "169.254.0.0/16", subnets: [], ports: [] })],
  ["a port in no subnet", (spec) => ({ ...spec, ports: [portOf(1, { subnet: "subnet-z" })] })],
  ["an address out of its subnet", (spec) => ({ ...spec, ports: [portOf(1, { address: "10.0.1.9" })] })],
  ["the router's address", (spec) => ({ ...spec, ports: [portOf(1, { address: "10.0.0.1" })] })],
  ["one address twice", (spec) => ({ ...spec, ports: [portOf(1), portOf(2, { address: "10.0.0.11" })] })],
  ["a MAC with a comma", (spec) => ({ ...spec, ports: [portOf(1, { mac: "02:00:00:00:00:01,x" })] })],
  ["a multicast MAC", (spec) => ({ ...spec, ports: [portOf(1, { mac: "03:00:00:00:00:01" })] })],
  ["a host name with a space", (spec) => ({ ...spec, ports: [portOf(1, { hostName: "a b" })] })],
  ["a public address out of the pool", (spec) => ({ ...spec, ports: [portOf(1, { publicAddress: "8.8.8.8" })] })],
  [
    "a rule with port 70000",
    (spec) => ({ ...spec, groups: [{ ...web, ingress: [{ ...all, protocol: "tcp", toPort: 70000 }] }] }),
  ],
  [
    "a rule with a bad CIDR",
    (spec) => ({ ...spec, groups: [{ ...web, egress: [{ ...all, cidrs: ["0.0.0.0/33"] }] }] }),
  ],
]

/** The suite. `open` gives a fresh engine whose pool holds 198.18.0.0/24. */
export function networkConformance(name: string, open: () => Promise<Subject>): void {
  const withEngine = (what: string, body: (engine: NetworkEngine) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const subject = await open()
      try {
        await subject.engine.up()
        await body(subject.engine)
      } finally {
        await subject.close()
      }
    })
  }

  withEngine("a network, its ports, and everything a second time", async (engine) => {
    const spec = networkOf(1, [portOf(1, { publicAddress: "198.18.0.5" }), portOf(2)])
    for (let round = 0; round < 2; round++) {
      await engine.ensureNetwork(spec)
      for (const port of spec.ports) {
        const handle = await engine.createPort(spec.id, port, 2_000_000)
        assert.ok(handle.device.length > 0 && handle.device.length <= 15)
        assert.ok(handle.mtu >= 1500)
        await engine.plugPort(spec.id, port.id)
      }
      await engine.up()
    }
    assert.deepEqual(await engine.list(), [{ id: "vpc-1", ports: ["eni-1", "eni-2"] }])
    const counters = await engine.portCounters("vpc-1", "eni-1")
    assert.ok(counters.passed >= 0 && counters.dropped >= 0)
    for (let round = 0; round < 2; round++) await engine.removePort("vpc-1", "eni-2")
    await engine.ensureNetwork({ ...spec, ports: spec.ports.slice(0, 1) })
    assert.deepEqual(await engine.list(), [{ id: "vpc-1", ports: ["eni-1"] }])
    for (let round = 0; round < 2; round++) await engine.removeNetwork("vpc-1")
    assert.deepEqual(await engine.list(), [])
  })

  withEngine("two networks with the same addresses stand side by side", async (engine) => {
    await engine.ensureNetwork(networkOf(1, [portOf(1)]))
    await engine.ensureNetwork(networkOf(2, [portOf(2, { address: "10.0.0.11" })]))
    assert.deepEqual((await engine.list()).map(({ id }) => id).toSorted(), ["vpc-1", "vpc-2"])
    await assert.rejects(engine.ensureNetwork({ ...networkOf(1, []), id: "vpc-other" }), /number 1 is vpc-1's/)
  })

  withEngine("invalid specs are refused with nothing done", async (engine) => {
    for (const [what, spoil] of invalid) {
      await assert.rejects(engine.ensureNetwork(spoil(networkOf(1, [portOf(1)]))), Error, what)
    }
    assert.deepEqual(await engine.list(), [])
  })

  withEngine("what is not there cannot be plugged or counted, but can be removed", async (engine) => {
    await assert.rejects(engine.createPort("vpc-9", portOf(1), 1), /no network/)
    await assert.rejects(engine.plugPort("vpc-9", "eni-1"), /no network/)
    await engine.ensureNetwork(networkOf(1, [portOf(1)]))
    await assert.rejects(engine.plugPort("vpc-1", "eni-9"), /no port/)
    await assert.rejects(engine.plugPort("vpc-1", "eni-1"), Error)
    await assert.rejects(engine.portCounters("vpc-1", "eni-9"), /no port/)
    assert.deepEqual([...(await engine.answering("vpc-9", ["eni-1"]))], [])
    assert.deepEqual([...(await engine.answering("vpc-1", ["eni-1", "eni-9"]))], [])
    await engine.removePort("vpc-1", "eni-9")
    await engine.removeNetwork("vpc-9")
  })

  withEngine("a port is brought beside a change of its network, and plugged once that knows of it", async (engine) => {
    await assert.rejects(engine.bringPort("vpc-1", portOf(1)), /no network/)
    await engine.ensureNetwork(networkOf(1, []))
    await engine.createPort("vpc-1", portOf(1), 2_000_000)
    for (let round = 0; round < 2; round++) await engine.bringPort("vpc-1", portOf(1))
    await assert.rejects(engine.plugPort("vpc-1", "eni-1"), /no port/)
    const change = engine.ensureNetwork(networkOf(1, [portOf(1), portOf(2)]))
    await engine.createPort("vpc-1", portOf(2), 2_000_000)
    await engine.bringPort("vpc-1", portOf(2))
    await change
    for (const id of ["eni-1", "eni-2"]) await engine.plugPort("vpc-1", id)
    for (const id of ["eni-1", "eni-2"]) await engine.removePort("vpc-1", id)
    // Nothing of it is left that a second life would be mistaken for.
    await assert.rejects(engine.plugPort("vpc-1", "eni-1"), Error)
  })

  withEngine("down empties everything, and up begins again", async (engine) => {
    await engine.ensureNetwork(networkOf(1, [portOf(1)]))
    await engine.createPort("vpc-1", portOf(1), 2_000_000)
    for (let round = 0; round < 2; round++) await engine.down()
    assert.deepEqual(await engine.list(), [])
    await engine.up()
    await engine.ensureNetwork(networkOf(1, [portOf(1)]))
    assert.deepEqual(await engine.list(), [{ id: "vpc-1", ports: ["eni-1"] }])
  })
}
