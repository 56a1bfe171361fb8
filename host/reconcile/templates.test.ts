import assert from "node:assert/strict"
import { type TestContext, test } from "node:test"
import { gzipSync } from "node:zlib"
import { NotPersonalised } from "#engine/hypervisor/types.ts"
import { everything, guest, hostOver, longLife, simEngines, watch } from "../harness.ts"
import type { Assignment, GuestSpec } from "../protocol/types.ts"
import { bootsFor, identityOf } from "./guest-identity.ts"

const named: GuestSpec = {
  ...guest,
  metadata: {
    ...guest.metadata,
    tree: {
      "meta-data/local-hostname": "ip-10-0-0-10.ec2.internal",
      "meta-data/public-keys/0/openssh-key": "ssh-ed25519 AAAA key\n",
    },
    userData: Buffer.from("#!/bin/sh\n").toString("base64"),
  },
}
const assigned: readonly Assignment[] = everything
  .filter(({ spec }) => spec.kind !== "template")
  .map((each) => (each.spec.kind === "guest" ? { ...each, spec: named } : each))

async function scene(context: TestContext, templates = { uid: 2_009_903, mtu: 9001, quietMs: 1 }) {
  const engines = await simEngines()
  const host = hostOver(engines, { templates }, longLife())
  context.after(async () => {
    await host.close()
    await engines.dispose()
  })
  const seen = watch(host)
  const ways = async () => {
    const { entries = [] } = (await host.trace?.("i-1")) ?? {}
    return entries.flatMap(({ what }) => (/^(boots|clones)/.test(what) ? [what] : []))
  }
  return { engines, host, seen, ways }
}

const says = async (engines: Awaited<ReturnType<typeof simEngines>>) =>
  (await engines.hypervisor.consoleOutput("i-1", 10_000)).toString()

test("a launch has a template made of its kind, once the host is quiet, and the next launch is a clone", async (context) => {
  const { engines, host, seen } = await scene(context)
  const { promise: made, resolve } = Promise.withResolvers<void>()
  const templates = engines.hypervisor.templates ?? assert.fail()
  const make = templates.make.bind(templates)
  templates.make = async (like, uid) => {
    assert.equal(host.pending(), 0)
    assert.equal(uid, 2_009_903)
    const name = await make(like, uid)
    resolve()
    return name
  }
  await host.sync(assigned)
  await seen.until("i-1", "on", 1)
  assert.doesNotMatch(await says(engines), /clones a template/)
  await made
  await host.assign("i-1", 2, undefined)
  await seen.until("i-1", "absent", 2)
  await host.assign("i-1", 3, named)
  await seen.until("i-1", "on", 3)
  assert.match(await says(engines), /clones a template/)
})

/** Refuses the first clone after it ran, as the engine of real machines does; gives how many were resumed. */
function refuseFirst(hypervisor: Awaited<ReturnType<typeof simEngines>>["hypervisor"]) {
  const real = { ...hypervisor }
  const nameless = new Set<string>()
  let resumed = 0
  hypervisor.resume = async (id) => {
    if (resumed++ > 0) return real.resume(id)
    await hypervisor.kill(id)
    nameless.add(id)
    throw new NotPersonalised("the agent is silent for 10 ms")
  }
  hypervisor.inspect = async (id) => ({
    ...(await real.inspect(id)),
    ...(nameless.has(id) ? { cause: "nameless" } : {}),
  })
  hypervisor.remove = async (id) => {
    await real.remove(id)
    nameless.delete(id)
  }
}

test("a guest whose clone is refused boots from a new disk, with new ports, and says why", async (context) => {
  const { engines, host, seen, ways } = await scene(context)
  refuseFirst(engines.hypervisor)
  await host.sync(assigned)
  await seen.until("i-1", "on", 1)
  assert.deepEqual(seen.phases("i-1"), ["starting", "on"], "nobody sees the clone's end")
  await host.idle()
  assert.deepEqual(await ways(), ["boots: its clone was refused: the agent is silent for 10 ms"])
  const calls = (of: RegExp) => engines.calls.filter((call) => of.test(call)).map((call) => call.replace(/^\w+\./, ""))
  assert.deepEqual(
    calls(/(createPort|plugPort|removePort) vpc-1/).map((call) => call.replace(" vpc-1", "")),
    ["createPort", "plugPort", "removePort", "createPort", "plugPort"],
  )
  // What it was made of counts as a removal of the same volume and no other.
  assert.deepEqual(calls(/removeVolume/), ["removeVolume vol-1"])
  assert.equal(calls(/createVolume/).length, 2)
})

test("a process that is ended before it has made the disk anew leaves that to the next", async (context) => {
  const { engines } = await scene(context)
  refuseFirst(engines.hypervisor)
  const real = { ...engines.storage }
  const first = hostOver(engines, { templates: { uid: 2_009_903, mtu: 9001, quietMs: 3_600_000 } }, longLife())
  const { promise: reached, resolve } = Promise.withResolvers<void>()
  let stuck = true
  engines.storage.removeVolume = async (id) => {
    if (!stuck) return real.removeVolume(id)
    resolve()
    return new Promise(() => {})
  }
  await first.sync(assigned)
  await reached
  stuck = false
  void first.close()
  engines.calls.length = 0
  const second = hostOver(engines, {}, longLife())
  context.after(() => second.close())
  const seen = watch(second)
  await second.sync(assigned)
  await seen.until("i-1", "on", 1)
  const renewed = engines.calls.filter((call) => /(remove|create)Volume|hypervisor.(remove|prepare)/.test(call))
  assert.deepEqual(renewed, [
    "storage.removeVolume vol-1",
    "storage.createVolume",
    "hypervisor.remove i-1",
    "hypervisor.prepare",
  ])
})

test("a guest that may not ask the metadata service boots, and so finds out nothing more than it should", async (context) => {
  const { host, seen, ways } = await scene(context)
  const off = { ...named, metadata: { ...named.metadata, enabled: false } }
  await host.sync(assigned.map((each) => (each.spec.kind === "guest" ? { ...each, spec: off } : each)))
  await seen.until("i-1", "on", 1)
  await host.idle()
  assert.deepEqual(await ways(), ["boots: its metadata service is off"])
})

test("a template that is asked for is made, told once, and leaves no volume", async (context) => {
  const { engines, host, seen } = await scene(context)
  const kind = { image: "ami-1", vcpus: 1, memoryMiB: 128 }
  const ask = () => host.warm?.(kind) ?? assert.fail()
  const outcome = async () => {
    for (;;) {
      const answer = await ask()
      if (answer.state !== "making") return answer
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  assert.deepEqual(await ask(), { state: "making" })
  assert.deepEqual(await outcome(), { state: "ready" })
  assert.deepEqual(await engines.storage.listVolumes(), [])
  await host.sync(assigned)
  await seen.until("i-1", "on", 1)
  assert.match(await says(engines), /clones a template/)
  kind.image = "ami-2"
  assert.deepEqual(await outcome(), { state: "refused", why: "image ami-2 is not on this host" })
})

test("a clone is told what DHCP and the metadata service would tell it", () => {
  const entries = new Map(assigned.map(({ resource, spec }) => [resource, { wish: spec }]))
  const identity = identityOf(named, { entry: (resource) => entries.get(resource) as never })
  assert.deepEqual(identity, {
    hostName: "ip-10-0-0-10.ec2.internal",
    authorizedKey: "ssh-ed25519 AAAA key",
    address: "10.0.0.10",
    prefixLength: 24,
    gateway: "10.0.0.1",
    resolver: "search ec2.internal\nnameserver 10.0.0.2\n",
    userData: Buffer.from("#!/bin/sh\n"),
  })
})

test("a guest of a whole distribution boots where its user-data may say who logs in", () => {
  const told = (text: string | Uint8Array) => bootsFor(Buffer.from(text)) === undefined
  for (const text of [
    "",
    "#!/bin/sh\nusers: all\n",
    "#cloud-config\npackages: [vim]\nruncmd:\n  - [sh, -c, 'users: 3']\n",
  ])
    assert.ok(told(text), text)
  for (const text of [
    "#cloud-config\nusers: [bob]\n",
    "#cloud-config\npackages: []\nsystem_info: {default_user: {name: bob}}\n",
    "#cloud-config\nssh_keys : {}\n",
    '#cloud-config\n"users": [bob]\n',
    "#cloud-config\n{users: [bob]}\n",
    "#cloud-config\n? users\n: [bob]\n",
    "#cloud-config\r\nusers: [bob]\r\n",
    "#cloud-config-archive\n- users: [bob]\n",
    "## template: jinja\n#cloud-config\n",
    "#include\nhttp://192.0.2.1/\n",
    "Content-Type: multipart/mixed\n",
    gzipSync("#cloud-config\nusers: [bob]\n"),
  ])
    assert.ok(!told(text), String(text))
})
