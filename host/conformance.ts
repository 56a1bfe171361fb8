/** What every way to reach a host must do: the suite of the assignment and observed protocol, over engines in memory. */
import assert from "node:assert/strict"
import { availableParallelism } from "node:os"
import { setTimeout as sleep } from "node:timers/promises"
import { describe, test, type TestContext } from "node:test"
import { StorageError } from "#engine/storage/errors.ts"
import {
  everything,
  filesOf,
  group,
  guest,
  hostOver,
  longLife,
  network,
  port,
  simEngines,
  volume,
  watch,
  type Engines,
  type Life,
} from "./harness.ts"
import type { GuestSpec, HostConnection, Spec } from "./protocol/types.ts"
import type { Host, HostOptions } from "./types.ts"

/** Puts a connection in front of a host. Closing what it gives closes neither the host nor its engines. */
export type Reach = (host: Host) => Promise<HostConnection>

async function nothingIsLeft(engines: Engines) {
  assert.deepEqual(await engines.hypervisor.list(), [])
  assert.deepEqual(await engines.network.list(), [])
  assert.deepEqual(await engines.storage.listVolumes(), [])
  assert.equal(engines.metadata.documents.size, 0)
  assert.equal(engines.metadata.networks.size, 0)
  assert.deepEqual(filesOf(engines), [])
}

/** `stride`: of the calls that fail or kill the host one by one, only every so many, where another run tries them all. */
export function hostConformance(name: string, reach: Reach, stride = 1): void {
  async function open(engines: Engines, more: Partial<HostOptions> = {}, life = longLife()) {
    const host = hostOver(engines, more, life)
    const connection = await reach(host)
    const seen = watch(connection)
    const close = async () => {
      await connection.close()
      await host.close()
    }
    return { connection, seen, close, idle: () => host.idle(), pending: () => host.pending() }
  }
  async function scene(t: TestContext, more: Partial<HostOptions> = {}) {
    const engines = await simEngines()
    const opened = await open(engines, more)
    t.after(async () => {
      await opened.close()
      await engines.dispose()
    })
    return { engines, ...opened }
  }

  /** The whole life of a guest; at each stage it must get there, whatever fails on the way. */
  async function life({ connection, seen }: Pick<Awaited<ReturnType<typeof scene>>, "connection" | "seen">, from = 1) {
    const born: GuestSpec = { ...guest, starts: from, resets: from - 1 }
    const assignments = everything.map(({ resource, spec }) => ({
      resource,
      generation: from,
      spec: spec.kind === "guest" ? born : spec,
    }))
    await connection.sync(assignments).catch(() => connection.sync(assignments))
    await seen.until("i-1", "on", from)
    await connection.assign("i-1", from + 1, { ...born, resets: from })
    assert.equal((await seen.guestUntil("i-1", "on", from + 1)).resets, from)
    await connection.assign("i-1", from + 2, { ...born, resets: from, power: "off" })
    assert.equal((await seen.guestUntil("i-1", "off", from + 2)).cause, "requested")
    await connection.assign("i-1", from + 3, { ...born, resets: from, starts: from + 1 })
    assert.equal((await seen.guestUntil("i-1", "on", from + 3)).starts, from + 1)
    const asleep: GuestSpec = { ...born, resets: from, starts: from + 1, power: "off", hibernate: true }
    await connection.assign("i-1", from + 4, asleep)
    const { hibernated, memoryLost } = await seen.guestUntil("i-1", "off", from + 4)
    assert.equal(hibernated === true, memoryLost === undefined, "kept, or told why not")
    await connection.assign("i-1", from + 5, { ...born, resets: from, starts: from + 2 })
    assert.equal((await seen.guestUntil("i-1", "on", from + 5)).memoryLost, undefined)
    for (const resource of ["i-1", "sg-1", "vol-1", "vpc-1"]) await connection.assign(resource, from + 6, undefined)
    for (const resource of ["i-1", "sg-1", "vol-1", "vpc-1"]) await seen.until(resource, "absent", from + 6)
  }

  describe(`host protocol over ${name}`, () => {
    test("a guest goes absent, on, reset, off, on, absent, and nothing is left", async (t) => {
      const opened = await scene(t)
      await life(opened)
      await opened.idle()
      assert.deepEqual(opened.seen.phases("i-1"), [
        "starting",
        "on",
        "stopping",
        "off",
        "starting",
        "on",
        "stopping",
        "off",
        "starting",
        "on",
        "stopping",
        "absent",
      ])
      assert.equal(opened.engines.calls.filter((call) => call === "hypervisor.reset i-1").length, 1)
      await nothingIsLeft(opened.engines)
    })

    test("a call that fails, whichever it is, delays and loses nothing", async () => {
      for (let at = 0, calls = 1; at < calls; at += stride) {
        const engines = await simEngines()
        const lived: Life = { ...longLife(), at }
        const opened = await open(engines, {}, lived)
        try {
          await life(opened)
          await opened.idle()
          calls = Math.max(calls, lived.next)
          await nothingIsLeft(engines)
        } catch (error) {
          throw new Error(`with call ${at}, ${engines.calls[at]}, failing`, { cause: error })
        } finally {
          await opened.close()
          await engines.dispose()
        }
        if (at === 0) assert.ok(lived.next > 30, "the calls of a whole life are counted")
      }
    })

    for (const end of ["dies before", "dies after"] as const) {
      test(`a host that ${end} any call of a guest's life is followed by one that finishes it`, async () => {
        for (let at = 0, died = true; died; at += stride) {
          const engines = await simEngines()
          const death = Promise.withResolvers<boolean>()
          const opened = await open(engines, {}, { ...longLife(), at, end, onDeath: () => death.resolve(true) })
          died = await Promise.race([death.promise, life(opened).then(() => false)])
          opened.seen.stop()
          // Its calls never return, so neither does its close.
          void opened.close()
          const heir = await open(engines)
          try {
            await life(heir, 10)
            await heir.idle()
            await nothingIsLeft(engines)
          } catch (error) {
            throw new Error(`after a host that ${end} call ${at}, ${engines.calls[at]}`, { cause: error })
          } finally {
            await heir.close()
            await engines.dispose()
          }
          assert.ok(at < 200)
        }
      })
    }

    test("an engine that hangs is given up, and asked again", async (t) => {
      const { connection, seen, engines } = await scene(t, { operationMs: 100 })
      const prepare = engines.hypervisor.prepare.bind(engines.hypervisor)
      let asked = 0
      engines.hypervisor.prepare = (spec) => (asked++ === 0 ? new Promise(() => {}) : prepare(spec))
      await connection.sync(everything)
      assert.match((await seen.troubled("i-1", "internal")).message, /did not answer within 100 ms/)
      await seen.until("i-1", "on", 1)
    })

    test("dependencies that come after the guest are waited for", async (t) => {
      const { connection, seen, pending } = await scene(t)
      await connection.assign("i-1", 1, guest)
      await seen.until("i-1", "starting", 1)
      await connection.assign("vol-1", 1, volume)
      await seen.until("vol-1", "ready", 1)
      await connection.assign("sg-1", 1, group)
      assert.ok(pending() > 0)
      await connection.assign("vpc-1", 1, network)
      await seen.until("i-1", "on", 1)
      await seen.until("sg-1", "ready", 1)
      assert.ok(seen.seen.every(({ status }) => !("trouble" in status)))
    })

    test("a volume and a network stay while the guest that holds them does", async (t) => {
      const { connection, seen, engines } = await scene(t)
      await connection.sync(everything)
      await seen.until("i-1", "on", 1)
      for (const resource of ["vol-1", "vpc-1", "i-1"]) await connection.assign(resource, 2, undefined)
      for (const resource of ["vol-1", "vpc-1", "i-1"]) await seen.until(resource, "absent", 2)
      const order = engines.calls.filter((call) => /kill|network.removeNetwork|removeVolume/.test(call))
      assert.deepEqual(
        order.toSorted((a) => (a.startsWith("hypervisor") ? -1 : 0)),
        order,
      )
      assert.equal(order.length, 3)
    })

    test("whose a public address is, is written before its guest is on, and changes with it", async (t) => {
      const { connection, seen, engines } = await scene(t)
      const [{ network, port } = { network: "", port: undefined }] = guest.ports
      assert.ok(port)
      const held = (publicAddress?: string): GuestSpec => ({
        ...guest,
        ports: [{ network, port: publicAddress === undefined ? port : { ...port, publicAddress } }],
      })
      const assigned = (spec: GuestSpec) =>
        everything.map((each) => ({ ...each, generation: 1, ...(each.resource === "i-1" ? { spec } : {}) }))
      await connection.sync(assigned(held("198.18.0.5")))
      await seen.until("i-1", "on", 1)
      const known = () => engines.metadata.networks.get(network)?.privateAddresses
      assert.deepEqual(known(), { "198.18.0.5": port.address })
      assert.deepEqual(
        [...engines.metadata.documents.values()].map((document) => document.network),
        [network],
      )
      await connection.assign("i-1", 2, held("198.18.0.6"))
      await seen.until("i-1", "on", 2)
      assert.deepEqual(known(), { "198.18.0.6": port.address })
      await connection.assign("i-1", 3, held())
      await seen.until("i-1", "on", 3)
      assert.deepEqual(known(), {})
    })

    test("a changed group is in force before it is observed", async (t) => {
      const { connection, seen, engines } = await scene(t)
      await connection.sync(everything)
      await seen.until("sg-1", "ready", 1)
      await seen.until("i-1", "on", 1)
      const before = engines.calls.filter((call) => call === "network.ensureNetwork").length
      const rule = { protocol: "tcp", fromPort: 22, toPort: 22, cidrs: ["0.0.0.0/0"], cidrs6: [], groups: [] } as const
      const changed: Spec = { kind: "group", network: "vpc-1", group: { id: "sg-1", ingress: [rule], egress: [] } }
      await connection.assign("sg-1", 2, changed)
      await seen.until("sg-1", "ready", 2)
      assert.equal(engines.calls.filter((call) => call === "network.ensureNetwork").length, before + 1)
      await connection.assign("i-1", 2, {
        ...guest,
        ports: [{ network: "vpc-1", port: { ...port, checkSource: false } }],
      })
      await seen.until("i-1", "on", 2)
      assert.equal(engines.calls.filter((call) => call === "network.ensureNetwork").length, before + 2)
    })

    test("a guest that ends by itself is off, with its cause, and stays off over a restart of the host", async (t) => {
      const { connection, seen, engines, close } = await scene(t)
      await connection.sync(everything)
      await seen.until("i-1", "on", 1)
      engines.hypervisor.powerOff("i-1")
      assert.equal((await seen.guestUntil("i-1", "off", 1)).cause, "guest-shutdown")
      await close()
      const again = await open(engines)
      await again.connection.sync(everything)
      assert.equal((await again.seen.guestUntil("i-1", "off", 1)).cause, "guest-shutdown")
      assert.deepEqual(again.seen.phases("i-1"), ["off"])
      await again.close()
      const rebooted = await open(engines, { bootId: "another boot" })
      await rebooted.connection.sync(everything)
      await rebooted.seen.until("i-1", "on", 1)
      await rebooted.close()
    })

    test("a guest whose machine was lost is started again, three times a day, over a restart of the host too", async (t) => {
      const { connection, seen, engines, close } = await scene(t)
      await connection.sync(everything)
      await seen.until("i-1", "on", 1)
      const prepares = () => engines.calls.filter((call) => call === "hypervisor.prepare").length
      const lose = async ({ seen: each, idle }: Pick<typeof second, "seen" | "idle">, times: number) => {
        each.forget()
        engines.hypervisor.crash("i-1")
        await each.until("i-1", "on", 1)
        await idle()
        assert.equal(prepares(), times)
      }
      const first = { seen, idle: async () => {} }
      await lose(first, 2)
      await lose(first, 3)
      await close()
      engines.hypervisor.crash("i-1")
      const second = await open(engines)
      await second.connection.sync(everything)
      await second.seen.until("i-1", "on", 1)
      assert.equal(prepares(), 4, "it was lost while no host was there")
      engines.hypervisor.crash("i-1")
      const trouble = await second.seen.troubled("i-1", "crashed")
      assert.deepEqual([trouble.final, /recovered 3 times/.test(trouble.message)], [true, true])
      await second.idle()
      assert.equal(prepares(), 4, "not a fourth time")
      await second.connection.assign("i-1", 2, { ...guest, resets: 1 })
      await second.seen.until("i-1", "on", 2)
      await second.close()
    })

    test("a lost machine stays down when it is to, until that is changed", async (t) => {
      const { connection, seen, engines, idle } = await scene(t)
      const staying: GuestSpec = { ...guest, afterCrash: "stay" }
      await connection.sync(everything.map((each) => (each.resource === "i-1" ? { ...each, spec: staying } : each)))
      await seen.until("i-1", "on", 1)
      engines.hypervisor.crash("i-1")
      assert.match((await seen.troubled("i-1", "crashed")).message, /recovery is disabled/)
      await idle()
      assert.equal((await engines.hypervisor.inspect("i-1")).phase, "exited")
      await connection.assign("i-1", 2, guest)
      await seen.until("i-1", "on", 2)
    })

    test("a host that comes back finds its guests running and touches none", async (t) => {
      const { connection, seen, engines, close } = await scene(t)
      await connection.sync(everything)
      await seen.until("i-1", "on", 1)
      await close()
      engines.calls.length = 0
      const again = await open(engines)
      await again.connection.sync(everything)
      await again.seen.until("i-1", "on", 1)
      await again.idle()
      assert.deepEqual(again.seen.phases("i-1"), ["on"])
      assert.deepEqual(
        engines.calls.filter((call) => /prepare|kill|reset|resume|createVolume/.test(call)),
        [],
      )
      await again.close()
    })

    test("what nobody assigned is removed by sync, guests first", async (t) => {
      const { connection, seen, engines, close } = await scene(t)
      await connection.sync(everything)
      await seen.until("i-1", "on", 1)
      await close()
      const again = await open(engines)
      await again.connection.sync([])
      for (const resource of ["i-1", "vol-1", "vpc-1"]) await again.seen.until(resource, "absent", 0)
      await again.idle()
      await nothingIsLeft(engines)
      await again.close()
    })

    test("sync says again how everything stands", async (t) => {
      const { connection, seen } = await scene(t)
      await connection.sync(everything)
      for (const { resource, spec } of everything) await seen.until(resource, spec.kind === "guest" ? "on" : "ready", 1)
      seen.forget()
      await connection.sync(everything)
      for (const { resource, spec } of everything) await seen.until(resource, spec.kind === "guest" ? "on" : "ready", 1)
      await connection.sync(everything.filter(({ resource }) => resource !== "i-1"))
      await seen.until("i-1", "absent", 1)
    })

    test("of many assignments at once the newest counts, and older ones that come late do not", async (t) => {
      const { connection, seen, engines, idle } = await scene(t)
      await connection.sync(everything.filter(({ resource }) => resource !== "i-1"))
      const wishes = Array.from({ length: 100 }, (_, index) => index + 1)
      await Promise.all(
        wishes.map((generation) =>
          connection.assign("i-1", generation, { ...guest, power: generation % 2 ? "off" : "on" }),
        ),
      )
      await connection.assign("i-1", 50, undefined)
      await seen.until("i-1", "on", 100)
      await idle()
      assert.equal((await engines.hypervisor.inspect("i-1")).phase, "running")
      assert.ok(engines.calls.filter((call) => call === "hypervisor.prepare").length <= 2)
      const generations = seen.seen.filter(({ resource }) => resource === "i-1").map(({ generation }) => generation)
      assert.deepEqual(
        generations,
        generations.toSorted((a, b) => a - b),
      )
    })

    test("of many starts, as many as there are CPUs are in flight, two at least", async (t) => {
      const { connection, engines, idle, seen } = await scene(t)
      let inFlight = 0
      let most = 0
      const prepare = engines.hypervisor.prepare.bind(engines.hypervisor)
      engines.hypervisor.prepare = async (spec) => {
        most = Math.max(most, ++inFlight)
        // Long enough that starts meet, however fast the simulation is.
        await sleep(10)
        return prepare(spec).finally(() => inFlight--)
      }
      const guests = Array.from({ length: 20 }, (_, index) => ({
        resource: `i-${index}`,
        generation: 1,
        spec: { ...guest, number: index + 1, disks: [], ports: [] },
      }))
      await connection.sync(guests)
      for (const { resource } of guests) await seen.until(resource, "on", 1)
      await idle()
      assert.equal(most, Math.max(2, availableParallelism()))
    })

    test("who waits for a turn to start says so, and is ended without one", async (t) => {
      const { connection, engines, idle, seen } = await scene(t)
      const { promise: open, resolve: letStart } = Promise.withResolvers<void>()
      const prepare = engines.hypervisor.prepare.bind(engines.hypervisor)
      engines.hypervisor.prepare = async (spec) => {
        await open
        return prepare(spec)
      }
      const last = Math.max(2, availableParallelism()) + 2
      const guests = Array.from({ length: last + 1 }, (_, index) => ({
        resource: `i-${index}`,
        generation: 1,
        spec: { ...guest, number: index + 1, disks: [], ports: [] },
      }))
      await connection.sync(guests)
      const trace = await connection.trace?.(`i-${last}`)
      if (trace) assert.equal(trace.waitsFor, "its turn, with 2 before it")
      await connection.assign(`i-${last}`, 2, undefined)
      await seen.until(`i-${last}`, "absent", 2)
      assert.equal((await engines.hypervisor.list()).length, 0, "nobody had started by then")
      letStart()
      for (const { resource } of guests.slice(0, -1)) await seen.until(resource, "on", 1)
      await idle()
    })

    test("an image that is not here is a final trouble, of the volume and of its guest", async (t) => {
      const { connection, seen, idle } = await scene(t)
      await connection.sync(everything.filter(({ resource }) => resource !== "vol-1"))
      await connection.assign("vol-1", 1, { kind: "volume", id: "vol-1", sizeBytes: 1 << 30, image: "ami-9" })
      await seen.troubled("vol-1", "no-image")
      const trouble = await seen.troubled("i-1", "no-image")
      assert.equal(trouble.final, true)
      await connection.assign("vol-1", 2, volume)
      await seen.until("i-1", "on", 1)
      await idle()
    })

    test("no room for a new guest's volume is final for the guest; the volume is tried again", async (t) => {
      const { connection, seen, engines, idle } = await scene(t)
      const createVolume = engines.storage.createVolume.bind(engines.storage)
      engines.storage.createVolume = async () => {
        throw new StorageError("disk-full", "No space left on device")
      }
      await connection.sync(everything)
      assert.equal((await seen.troubled("vol-1", "disk-full")).final, false)
      const { final, message } = await seen.troubled("i-1", "disk-full")
      assert.deepEqual([final, message], [true, "vol-1: no space left on the host's disk"])
      for (const resource of ["i-1", "sg-1", "vol-1", "vpc-1"]) await connection.assign(resource, 2, undefined)
      for (const resource of ["i-1", "sg-1", "vol-1", "vpc-1"]) await seen.until(resource, "absent", 2)
      engines.storage.createVolume = createVolume
      await idle()
      await nothingIsLeft(engines)
    })

    test("a guest that nothing obeys is ended at its deadline, and at once by force", async (t) => {
      const { connection, seen, engines } = await scene(t, { shutdownMs: 2_000 })
      engines.hypervisor.requestShutdown = async () => {}
      await connection.sync(everything)
      await seen.until("i-1", "on", 1)
      await connection.assign("i-1", 2, { ...guest, power: "off" })
      assert.equal((await seen.guestUntil("i-1", "off", 2)).cause, "requested")
      await connection.assign("i-1", 3, { ...guest, starts: 2 })
      await seen.until("i-1", "on", 3)
      engines.calls.length = 0
      await connection.assign("i-1", 4, { ...guest, starts: 2, power: "off", force: true })
      await seen.until("i-1", "off", 4)
      assert.ok(!engines.calls.includes("hypervisor.requestShutdown i-1"))
    })

    test("facts are finite, and the removal of the unknown is observed as absent", async (t) => {
      const { connection, seen } = await scene(t)
      const facts = await connection.facts()
      assert.equal(facts.engine, "sim")
      assert.ok(Number.isSafeInteger(facts.cpus) && Number.isSafeInteger(facts.memoryMiB))
      await connection.assign("i-9", 3, undefined)
      await seen.until("i-9", "absent", 3)
      await connection.sync(everything)
      await seen.until("i-1", "on", 1)
      assert.match((await connection.consoleOutput("i-1", 1_000)).toString(), /no code runs/)
      assert.equal((await connection.consoleOutput("i-9", 1_000)).length, 0)
      assert.match((await connection.screenshot("i-1", true)).toString("latin1", 0, 20), /^P6\n\d+ \d+\n255\n/)
      await assert.rejects(connection.screenshot("i-9", false), /i-9/)
      await connection.interrupt("i-1")
      await assert.rejects(connection.interrupt("i-9"), /i-9/)
    })
  })
}
