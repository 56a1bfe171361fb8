import assert from "node:assert/strict"
import { type TestContext, test } from "node:test"
import { NoneWaits, type WarmMember } from "#engine/hypervisor/types.ts"
import { everything, guest, hostOver, type Life, longLife, simEngines, watch } from "../harness.ts"
import type { Assignment } from "../protocol/types.ts"
import type { Host } from "../types.ts"

const named = {
  ...guest,
  metadata: { ...guest.metadata, tree: { "meta-data/local-hostname": "ip-10-0-0-10.ec2.internal" } },
}
const others: readonly Assignment[] = everything.filter(({ spec }) => spec.kind !== "template" && spec.kind !== "guest")
const quietMs = 3_600_000

/** Engines whose pool holds one clone, which is taken over unless `refuses`, and a host that knows of it. */
async function scene(context: TestContext, life: Life = longLife()) {
  const engines = await simEngines()
  const { hypervisor, calls } = engines
  const members = new Map<string, WarmMember>()
  const now = { refuses: false }
  const pool = {
    add: async () => {
      members.set("member", { id: "member", template: "t", pid: 1, tap: { device: "pool0", namespace: "fr0-pool0" } })
      return "member"
    },
    members: () => [...members.values()],
    end: async (id: string) => {
      calls.push(`pool.end ${id}`)
      members.delete(id)
    },
    close: async () => members.clear(),
  }
  Object.assign(hypervisor.templates ?? assert.fail(), { pool })
  const prepare = hypervisor.prepare.bind(hypervisor)
  hypervisor.prepare = async ({ fromPool, ...spec }) => {
    if (fromPool === undefined) return prepare(spec)
    assert.deepEqual(spec.nics[0]?.namespace, members.get(fromPool)?.tap.namespace)
    if (now.refuses) throw new NoneWaits("it does not fit")
    members.delete(fromPool)
    return prepare(spec)
  }
  const hosts: Host[] = []
  const targets = [{ size: { vcpus: guest.vcpus, memoryMiB: guest.memoryMiB }, count: 1 }]
  const open = (ofPool = targets, lives = life) => {
    const templates = {
      uid: 2_009_903,
      mtu: 9001,
      quietMs,
      pool: { uids: { first: 1, count: 1 }, targets: ofPool, everyMs: 1 },
    }
    const images = {
      list: async () => [
        { id: "ami-1", name: "one", architecture: "x86_64", sizeBytes: 1 << 30, createdMs: 0 } as const,
      ],
      find: async () => ({ architecture: "x86_64", boot: { kind: "kernel" } }) as never,
    }
    const host = hostOver(engines, { templates, images }, lives)
    hosts.push(host)
    return { host, seen: watch(host) }
  }
  context.after(async () => {
    // One that died waits for what never comes.
    await hosts.at(-1)?.close()
    await engines.dispose()
  })
  const first = open()
  await first.host.sync(others)
  await first.host.idle()
  await until(() => members.size > 0, "nobody waits")
  calls.length = 0
  const done = (of: RegExp) =>
    calls.filter((call) => of.test(call)).map((call) => call.replace(/^\w+\.(.*?) .*$/, "$1"))
  return { ...first, engines, members, now, done, open }
}

async function until(holds: () => boolean, words: string): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, words)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const ofPorts = /(bringPort|createPort|plugPort|removePort) vpc-1|pool\.end|prepare/

test("the tap of a clone of the pool goes into the network while the guest's volume is made", async (t) => {
  const { host, seen, engines, members, done } = await scene(t)
  const { promise: made, resolve: goOn } = Promise.withResolvers<void>()
  const createVolume = engines.storage.createVolume.bind(engines.storage)
  engines.storage.createVolume = async (spec) => {
    await made
    return createVolume(spec)
  }
  await host.assign("vol-2", 1, { kind: "volume", id: "vol-2", sizeBytes: 1 << 30, image: "ami-1" })
  const disks = [{ ...guest.disks[0]!, volume: "vol-2" }]
  await host.assign("i-1", 1, { ...named, disks })
  await until(() => done(ofPorts).includes("bringPort"), "the tap is not brought")
  assert.ok(members.has("member"), "it is not taken over yet")
  goOn()
  await seen.until("i-1", "on", 1)
  assert.deepEqual(done(ofPorts), ["bringPort", "hypervisor.prepare", "bringPort", "plugPort"])
  assert.equal(members.has("member"), false)
})

test("a clone that does not fit is ended, and the guest has a tap of its own", async (t) => {
  const { host, seen, now, done } = await scene(t)
  now.refuses = true
  await host.assign("i-1", 1, named)
  await seen.until("i-1", "on", 1)
  assert.deepEqual(done(ofPorts), [
    "bringPort",
    "hypervisor.prepare",
    "removePort",
    "end",
    "createPort",
    "hypervisor.prepare",
    "bringPort",
    "plugPort",
  ])
})

test("a guest that is not wanted any more before it took its clone over gives that up", async (t) => {
  const { host, seen, engines, done } = await scene(t)
  const createVolume = engines.storage.createVolume.bind(engines.storage)
  const { promise: made, resolve: goOn } = Promise.withResolvers<void>()
  engines.storage.createVolume = async (spec) => {
    await made
    return createVolume(spec)
  }
  await host.assign("vol-2", 1, { kind: "volume", id: "vol-2", sizeBytes: 1 << 30, image: "ami-1" })
  await host.assign("i-1", 1, { ...named, disks: [{ ...guest.disks[0]!, volume: "vol-2" }] })
  await until(() => done(ofPorts).includes("bringPort"), "the tap is not brought")
  await host.assign("i-1", 2, undefined)
  await seen.until("i-1", "absent", 2)
  goOn()
  assert.deepEqual(done(/pool\.end/), ["end"])
  assert.ok(!done(ofPorts).includes("hypervisor.prepare"))
})

test("a host that dies after it brought a clone's tap leaves the next one none of it", async (t) => {
  const life: Life = { ...longLife(), end: "dies before" }
  const { host, seen, engines, members, done, open } = await scene(t, life)
  const bring = engines.network.bringPort.bind(engines.network)
  engines.network.bringPort = async (...words) => {
    await bring(...words)
    // In its next call, whatever that is.
    life.at = life.next
  }
  const dead = new Promise<void>((resolve) => (life.onDeath = resolve))
  await host.assign("i-1", 1, named)
  await dead
  seen.stop()
  void host.close()
  engines.network.bringPort = bring
  // An engine that is opened anew ends whoever waited.
  members.clear()
  engines.calls.length = 0
  const second = open([], longLife())
  await second.host.sync([...others, { resource: "i-1", generation: 1, spec: named }])
  await second.seen.until("i-1", "on", 1)
  assert.deepEqual(done(ofPorts), ["removePort", "createPort", "hypervisor.prepare", "bringPort", "plugPort"])
})
