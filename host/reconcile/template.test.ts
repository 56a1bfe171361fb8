import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import { everything, hostOver, longLife, simEngines, watch } from "../harness.ts"
import type { Assignment } from "../protocol/types.ts"
import type { HostOptions } from "../types.ts"

const kind = { kind: "template", image: "ami-1", vcpus: 1, memoryMiB: 128 } as const
const wish = (resource: string, generation: number, spec: Assignment["spec"] = kind) => ({ resource, generation, spec })
const options: Partial<HostOptions> = { templates: { uid: 2_009_903, mtu: 9001, quietMs: 1 } }

/** Engines that outlive hosts: `open` is another start of the host's process. */
async function scene(context: TestContext) {
  const engines = await simEngines()
  const { templates } = engines.hypervisor
  if (!templates) throw new Error("the engine has no templates")
  const made: string[] = []
  const make = templates.make.bind(templates)
  let fails: Error | undefined
  templates.make = async (like, uid) => {
    if (fails !== undefined) throw fails
    const there = (await templates.missing(like)) === undefined
    const name = await make(like, uid)
    if (!there) made.push(name)
    return name
  }
  const hosts = new Set<ReturnType<typeof hostOver>>()
  context.after(async () => {
    for (const host of hosts) await host.close()
    await engines.dispose()
  })
  const open = (more = options) => {
    const host = hostOver(engines, more, longLife())
    hosts.add(host)
    return { host, seen: watch(host) }
  }
  return { engines, templates, made, open, fail: (error: Error | undefined) => void (fails = error) }
}

test("a template that is assigned is made once, kept over a restart, and made again when it is lost", async (context) => {
  const { templates, made, open } = await scene(context)
  const first = open()
  await first.host.sync([wish("fl-1", 1)])
  await first.seen.until("fl-1", "ready", 1)
  assert.equal(made.length, 1)
  assert.equal(await templates.has(made[0] ?? ""), true)
  await first.host.close()
  const second = open()
  await second.host.sync([wish("fl-1", 1)])
  await second.seen.until("fl-1", "ready", 1)
  assert.equal(made.length, 1)
  await templates.remove(made[0] ?? "")
  await second.host.assign("fl-1", 2, kind)
  await second.seen.until("fl-1", "ready", 2)
  assert.equal(made.length, 2)
})

test("one for a larger root volume is made of a disk of that size", async (context) => {
  const { engines, open } = await scene(context)
  const sizes: number[] = []
  const create = engines.storage.createVolume.bind(engines.storage)
  engines.storage.createVolume = (spec) => {
    sizes.push(spec.sizeBytes)
    return create(spec)
  }
  const { host, seen } = open()
  const sizeBytes = 3 * 2 ** 30
  await host.sync([wish("fl-1", 1, { ...kind, sizeBytes })])
  await seen.until("fl-1", "ready", 1)
  assert.deepEqual(sizes, [sizeBytes])
})

test("one that is lost is made again without a word, and one whose image is removed goes", async (context) => {
  const { templates, made, open } = await scene(context)
  let there = true
  const find = async () =>
    there ? { architecture: "x86_64" as const, boot: { kind: "firmware" as const } } : undefined
  const { host, seen } = open({ ...options, resyncMs: 20, images: { list: async () => [], find } })
  await host.sync([wish("fl-1", 1)])
  await seen.until("fl-1", "ready", 1)
  await templates.remove(made[0] ?? "")
  await until(() => made.length === 2)
  await seen.until("fl-1", "ready", 1)
  there = false
  assert.match((await seen.troubled("fl-1", "no-image")).message, /image ami-1 is not on this host/)
  assert.equal(await templates.has(made[1] ?? ""), false)
  there = true
  await until(() => made.length === 3)
  await seen.until("fl-1", "ready", 1)
})

test("one that does not fit any more, as after an upgrade of QEMU, is made anew, and the old one goes", async (context) => {
  const { templates, made, open } = await scene(context)
  const first = open()
  await first.host.sync([wish("fl-1", 1)])
  await first.seen.until("fl-1", "ready", 1)
  await first.host.close()
  // The simulated engine tells kinds apart by their size alone: that of another one stands for what QEMU's version would change.
  const make = templates.make.bind(templates)
  templates.make = (like, uid) => make({ ...like, memoryMiB: 64 }, uid)
  const upgraded = open()
  await upgraded.host.sync([wish("fl-1", 1)])
  await upgraded.seen.until("fl-1", "ready", 1)
  await upgraded.host.idle()
  assert.deepEqual(await Promise.all(made.map((name) => templates.has(name))), [false, true])
})

test("its removal removes the template, unless another assignment has it, and leaves nothing behind", async (context) => {
  const { engines, templates, made, open } = await scene(context)
  const { host, seen } = open()
  await host.sync([wish("fl-1", 1), wish("fl-2", 1), wish("fl-3", 1, { ...kind, memoryMiB: 256 })])
  for (const resource of ["fl-1", "fl-2", "fl-3"]) await seen.until(resource, "ready", 1)
  const [name = ""] = made
  await host.assign("fl-1", 2, undefined)
  await seen.until("fl-1", "absent", 2)
  assert.equal(await templates.has(name), true)
  await host.assign("fl-2", 2, undefined)
  await seen.until("fl-2", "absent", 2)
  assert.equal(await templates.has(name), false)
  assert.deepEqual(await engines.storage.listVolumes(), [])
  // Taken from the table while this process was down.
  await host.close()
  const again = open()
  await again.host.sync([])
  await again.seen.until("fl-3", "absent", 0)
  for (const each of made) assert.equal(await templates.has(each), false)
})

test("what cannot be made says why, for good until a new wish", async (context) => {
  const { made, open, fail } = await scene(context)
  const { host, seen } = open()
  fail(new Error("the image has no agent: /home/me/images/ami-1/kernel, /tmp"))
  await host.sync([wish("fl-1", 1), wish("fl-2", 1, { ...kind, image: "ami-9" })])
  assert.equal((await seen.troubled("fl-2", "no-image")).final, true)
  const { final, message } = await seen.troubled("fl-1", "no-template")
  assert.deepEqual([final, message], [true, "the image has no agent: (a file), /tmp"])
  await host.idle()
  fail(Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }))
  await host.assign("fl-1", 2, kind)
  assert.equal((await seen.troubled("fl-1", "disk-full")).message, "no space left on the host's disk")
  fail(undefined)
  await host.assign("fl-1", 3, kind)
  await seen.until("fl-1", "ready", 3)
  assert.equal(made.length, 1)
})

test("where guests always boot, no template can be had, save that simulated guests need none", async (context) => {
  const { engines, open } = await scene(context)
  const simulated = open({})
  await simulated.host.sync([wish("fl-1", 1)])
  await simulated.seen.until("fl-1", "ready", 1)
  await simulated.host.close()
  const real = open({ hypervisor: { ...engines.hypervisor, name: "qemu" } })
  await real.host.sync([wish("fl-2", 1)])
  assert.match((await real.seen.troubled("fl-2", "no-template")).message, /always boot/)
})

test("a launch that had to boot leads to a template, also when the host was ended before it was made", async (context) => {
  const { engines, made, open } = await scene(context)
  const path = join(engines.directory, "templates-wanted.json")
  const slow: Partial<HostOptions> = { templates: { uid: 2_009_903, mtu: 9001, quietMs: 3_600_000 } }
  const guests = everything
    .filter(({ spec }) => spec.kind !== "template")
    .map((each) =>
      each.spec.kind === "guest" ? { ...each, spec: { ...each.spec, metadata: named(each.spec.metadata) } } : each,
    )
  const first = open(slow)
  await first.host.sync(guests)
  await first.seen.until("i-1", "on", 1)
  await until(() => existsSync(path) && readFileSync(path, "utf8").includes("ami-1"))
  await first.host.close()
  assert.equal(made.length, 0)
  const second = open()
  await second.host.sync(guests)
  await until(() => made.length === 1)
  await until(() => readFileSync(path, "utf8") === "[]")
})

const named = (metadata: Extract<Assignment["spec"], { kind: "guest" }>["metadata"]) => ({
  ...metadata,
  tree: { ...metadata.tree, "meta-data/local-hostname": "ip-10-0-0-10.ec2.internal" },
})

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 20_000
  while (!holds()) {
    if (performance.now() > end) throw new Error("it does not come to that")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
