import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type TestContext, test } from "node:test"
import type { TapPlace } from "#engine/hypervisor/types.ts"
import type { WarmKind } from "../protocol/types.ts"
import type { PoolTarget } from "../types.ts"
import { keepPool, type PoolOptions } from "./pool.ts"
import { nameOf } from "./template-maker.ts"

const micro = { image: "ami-1", vcpus: 2, memoryMiB: 1024 }
const small = { image: "ami-2", vcpus: 2, memoryMiB: 2048 }

/** A pool whose looks are taken by hand, over an engine that only keeps names. */
function scene(t: TestContext, targets: readonly PoolTarget[], folder = mkdtempSync(join(tmpdir(), "fractus-pool-"))) {
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const members = new Map<string, string>()
  const taps = new Map<string, TapPlace>()
  const dropped: string[] = []
  const volumes = new Set<string>()
  const now = {
    availableMiB: 100_000,
    pending: 0,
    fails: false,
    endsAtOnce: false,
    tries: 0,
    networks: [] as readonly string[],
  }
  let next: (() => void) | undefined
  let count = 0
  const image = (id: string, sizeBytes: number) =>
    ({ id, name: id, architecture: "x86_64", sizeBytes, createdMs: 0 }) as const
  const options: PoolOptions = {
    engine: {
      add: () => assert.fail("by the maker alone"),
      members: () =>
        [...members.keys()].map((id) => ({
          id,
          template: members.get(id)!,
          pid: 1,
          tap: taps.get(id)!,
        })),
      end: async (id) => void members.delete(id),
      close: async () => members.clear(),
    },
    maker: {
      async spare(kind, _uids, place) {
        now.tries += 1
        if (now.fails) throw new Error("no room")
        const [member, volume] = [`member-${++count}`, `pool-${count}`]
        const tap = { device: "tap", namespace: member }
        taps.set(member, (await place?.(tap)) ?? tap)
        if (now.endsAtOnce) throw new Error("it ended at once")
        members.set(member, nameOf(kind))
        volumes.add(volume)
        return { member, volume }
      },
      forget: async (volume) => void volumes.delete(volume),
    },
    images: {
      list: async () => [image("ami-large", 2 ** 31), image("ami-1", 2 ** 30)],
      find: async (id) => (id === "ami-gone" ? undefined : { architecture: "x86_64", boot: { kind: "firmware" } }),
    },
    uids: { first: 1, count: 90 },
    mtu: 9001,
    network: {
      parkTap: async (id, { device }) => ({ device, namespace: id }),
      dropTap: async ({ namespace }) => void dropped.push(namespace),
    },
    networks: () => now.networks,
    targets,
    path: join(folder, "kinds.json"),
    everyMs: 1000,
    timer: (_delay, action) => {
      next = action
      return () => (next = undefined)
    },
    pending: () => now.pending,
    availableMiB: () => now.availableMiB,
    floorMiB: 512,
    log: () => {},
  }
  const pool = keepPool(options)
  const look = async (times = 1) => {
    for (; times > 0; times--) {
      const action = next
      next = undefined
      action?.()
      // All that a look does here is done by then.
      for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const kinds = () => [...members.values()].toSorted()
  return { pool, look, kinds, members, volumes, dropped, now, folder }
}

test("one is added at each look until there are as many as shall be, and one that was taken is made good", async (t) => {
  const { look, kinds, members, volumes, pool } = scene(t, [{ count: 2 }])
  await look()
  const usual = { ...micro, sizeBytes: 2 ** 30 }
  assert.deepEqual(kinds(), [nameOf(usual)], "before any launch: t3.micro of the smallest image")
  await look(3)
  assert.equal(members.size, 2)
  assert.deepEqual(pool.state(), { wanted: 2, members: [1, 1] })
  assert.equal(pool.reserve(small, "vpc-1"), undefined)
  assert.equal(pool.reserve({ ...micro, sizeBytes: 2 ** 30 }, "vpc-1")?.id, "member-1")
  members.delete("member-1")
  pool.taken("member-1")
  await look()
  assert.deepEqual([...members.keys()], ["member-2", "member-3"])
  assert.deepEqual([...volumes], ["pool-2", "pool-3"], "the volume of one that was taken is no more ours")
  pool.used(usual, "vpc-1")
  await look()
  assert.equal(members.size, 2, "a launch of the usual kind ends nobody")
  await pool.close()
  assert.deepEqual([members.size, volumes.size], [0, 0])
})

test("it is of what was launched last, of a size where one is said, and remembers that", async (t) => {
  const first = scene(t, [{ count: 1 }])
  first.pool.used({ ...micro, image: "ami-gone" }, "vpc-1")
  first.pool.used(small, "vpc-1")
  await first.look(2)
  assert.deepEqual(first.kinds(), [], "a launch is left alone")
  await first.look(2)
  assert.deepEqual(first.kinds(), [nameOf(small)])
  first.pool.used({ ...micro, image: "ami-9" }, "vpc-1")
  await first.look(4)
  assert.deepEqual(first.kinds(), [nameOf({ ...micro, image: "ami-9" })], "those of another kind make room")
  first.pool.used({ ...micro, snapshot: "snap-1" }, "vpc-1")
  await first.look(4)
  assert.deepEqual(first.kinds(), [nameOf({ ...micro, image: "ami-9" })], "an account's snapshot may go at any time")
  await first.pool.close()
  const second = scene(t, [{ count: 1, size: { vcpus: 2, memoryMiB: 2048 } }], first.folder)
  await second.look(2)
  assert.deepEqual(second.kinds(), [nameOf(small)])
})

test("nothing is added while something is to be done, and what failed is left alone for a while", async (t) => {
  const { look, members, now } = scene(t, [{ count: 1 }])
  now.pending = 1
  await look(2)
  assert.equal(now.tries, 0)
  now.pending = 0
  now.fails = true
  await look(32)
  assert.equal(now.tries, 1)
  now.fails = false
  await look(60)
  assert.equal(members.size, 1)
})

test("where memory is short they are given up one by one, and come back when there is enough", async (t) => {
  const { look, members, volumes, now } = scene(t, [{ count: 3 }])
  await look(3)
  assert.equal(members.size, 3)
  now.availableMiB = 500
  await look(2)
  assert.deepEqual([members.size, volumes.size], [1, 1])
  // Enough for what is there, and not for one that comes to use all of its RAM.
  now.availableMiB = 1200
  await look(2)
  assert.equal(members.size, 1)
  now.availableMiB = 100_000
  await look(2)
  assert.equal(members.size, 3)
})

test("what an assignment wishes is added to it, and goes with the wish", async (t) => {
  const { pool, look, kinds } = scene(t, [])
  const kind: WarmKind = { ...micro, image: "ami-5" }
  pool.wish("efl-1", { kind, count: 2 })
  await look(4)
  assert.deepEqual(kinds(), [nameOf(kind), nameOf(kind)])
  pool.wish("efl-1", { kind, count: 1 })
  await look()
  assert.equal(kinds().length, 1)
  pool.wish("efl-1", undefined)
  await look()
  assert.deepEqual(kinds(), [])
})

test("one that is reserved is nobody else's, and stays while others make room; given up, it is made good", async (t) => {
  const { pool, look, members, volumes, now } = scene(t, [{ count: 2 }])
  await look(4)
  assert.deepEqual(pool.reserve(micro, "vpc-1"), {
    id: "member-1",
    template: nameOf({ ...micro, sizeBytes: 2 ** 30 }),
    pid: 1,
    tap: { device: "tap", namespace: "member-1" },
  })
  assert.equal(pool.reserve(micro, "vpc-1")?.id, "member-2")
  assert.equal(pool.reserve(micro, "vpc-1"), undefined)
  now.availableMiB = 100
  await look(3)
  assert.equal(members.size, 2)
  await pool.giveUp("member-1")
  await pool.giveUp("member-1")
  assert.deepEqual([...members.keys(), ...volumes], ["member-2", "pool-2"])
  now.availableMiB = 100_000
  await look(2)
  assert.equal(pool.reserve(micro, "vpc-1")?.id, "member-3")
})

test("a clone's tap waits in the network of the last launch, and goes with the clone or with the network", async (t) => {
  const { pool, look, members, dropped, now } = scene(t, [{ count: 2 }])
  now.networks = ["vpc-6", "vpc-7"]
  pool.used(micro, "vpc-7")
  await look(5)
  assert.equal(members.size, 2)
  const first = pool.reserve(micro, "vpc-1")
  assert.equal(first?.tap.namespace, "vpc-7")
  members.delete(first.id)
  await look()
  assert.deepEqual(dropped, [], "it is being taken")
  pool.taken(first.id)
  await look()
  assert.deepEqual(dropped, [], "it is the guest's")
  await pool.giveUp(pool.reserve(micro, "vpc-1")?.id ?? "")
  assert.deepEqual(dropped, ["vpc-7"])
  await look(3)
  assert.equal(members.size, 2)
  now.networks = ["vpc-6"]
  assert.equal(pool.reserve(micro, "vpc-1"), undefined, "their taps went with it")
  await look(5)
  assert.equal(pool.reserve(micro, "vpc-1")?.tap.namespace, "vpc-6", "of the only network that stands")
  now.endsAtOnce = true
  dropped.length = 0
  await pool.giveUp([...members.keys()].at(-1) ?? "")
  await look(4)
  assert.deepEqual(dropped, ["vpc-6", "vpc-6"], "of the one that was given up, and of the one that did not begin")
})
