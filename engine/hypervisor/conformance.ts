import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, describe, test } from "node:test"
import { type MemoryImage, newImageKey, UnusableMemory } from "./memory-image.ts"
import { type HypervisorEngine, type MachineSpec, type MachineState, pictureLimitBytes } from "./types.ts"

/**
 * What a guest of the suite does after it has written `greeting` to its serial port.
 * `obedient`: nothing, until the power button is pressed; then it powers off. `deaf`: nothing, ever.
 * `power-off`: it powers off at once, or when `Subject.powerOff` says so.
 */
export type GuestBehaviour = "obedient" | "deaf" | "power-off"

/** What a driver brings so that the suite can run on it. */
export interface Subject<Engine extends HypervisorEngine = HypervisorEngine> {
  readonly name: string
  /** Opens the driver over the same directories each time. */
  open(): Promise<Engine>
  spec(id: string, behaviour: GuestBehaviour): Promise<MachineSpec>
  /** Text that each start and each reset of a guest writes to the console. */
  greeting(id: string): string
  /** False where machines end with the process that made them. */
  readonly machinesOutliveUs: boolean
  /** For guests that need a word from outside to do as their behaviour says. */
  powerOff?(engine: Engine, id: string): Promise<void>
  cleanUp(): Promise<void>
}

/** Polls until `holds` gives something truthy. Throws after `timeoutMs`. */
export async function until<T>(what: string, holds: () => Promise<T> | T, timeoutMs = 60_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await holds()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Waits until the machine is in `phase`; gives its state. */
export const untilPhase = (engine: HypervisorEngine, id: string, phase: MachineState["phase"]) =>
  until(`${id} to be ${phase}`, async () => {
    const state = await engine.inspect(id)
    return state.phase === phase ? state : undefined
  })

const consoleText = async (engine: HypervisorEngine, id: string) => (await engine.consoleOutput(id, 65_536)).toString()
async function startGuest(
  subject: Pick<Subject, "spec" | "greeting">,
  engine: HypervisorEngine,
  id: string,
  behaviour: GuestBehaviour,
) {
  await engine.prepare(await subject.spec(id, behaviour))
  await engine.resume(id)
  await until("the greeting", async () => (await consoleText(engine, id)).includes(subject.greeting(id)))
}

/** Runs `work` on an engine of its own, and leaves no machine `id` whatever comes of it. */
async function withEngine<Engine extends HypervisorEngine>(
  subject: Subject<Engine>,
  work: (engine: Engine, id: string) => Promise<void>,
  id: string,
) {
  const engine = await subject.open()
  try {
    await work(engine, id)
  } finally {
    await engine.kill(id)
    await engine.remove(id)
    await engine.close()
  }
}
/** Gives a place for an image, and leaves none there. */
async function withImage(work: (image: MemoryImage) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "fr-image-"))
  try {
    await work({ path: path.join(folder, "image"), key: newImageKey() })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
const count = (text: string, part: string) => text.split(part).length - 1

/** What every driver of the hypervisor engine must do. */
export function conformance<Engine extends HypervisorEngine>(subject: Subject<Engine>): void {
  describe(`hypervisor conformance: ${subject.name}`, () => {
    after(() => subject.cleanUp())

    const session = (work: (engine: Engine, id: string) => Promise<void>, id: string) => withEngine(subject, work, id)
    const start = startGuest.bind(undefined, subject)

    test("says what the host can do", async () => {
      const engine = await subject.open()
      const host = await engine.probe()
      assert.ok(["kvm", "tcg", "none"].includes(host.accelerator))
      assert.ok(host.cpus >= 1 && host.memoryMiB >= 1 && host.version !== "")
      await engine.close()
    })

    test("an unknown machine is absent: ends and removals succeed, all else is refused", async () => {
      const engine = await subject.open()
      assert.deepEqual(await engine.inspect("i-none"), { phase: "absent" })
      await engine.kill("i-none")
      await engine.remove("i-none")
      await assert.rejects(engine.resume("i-none"), /i-none/)
      await assert.rejects(engine.requestShutdown("i-none"), /i-none/)
      await assert.rejects(engine.reset("i-none"), /i-none/)
      await assert.rejects(engine.consoleOutput("i-none", 10), /i-none/)
      await assert.rejects(engine.screenshot("i-none", false), /i-none/)
      await assert.rejects(engine.interrupt("i-none"), /i-none/)
      assert.ok(!(await engine.list()).includes("i-none"))
      await engine.close()
    })

    test("a bad specification is refused and leaves nothing", async () => {
      const engine = await subject.open()
      const good = await subject.spec("i-bad", "deaf")
      await assert.rejects(engine.prepare({ ...good, vcpus: 0 }), /vcpus/)
      await assert.rejects(engine.prepare({ ...good, memoryMiB: 0.5 }), /memory/)
      assert.deepEqual(await engine.inspect("i-bad"), { phase: "absent" })
      await engine.close()
    })

    test("a machine lives: prepared, running, exited, absent", () =>
      session(async (engine, id) => {
        const prepared = await engine.prepare(await subject.spec(id, "deaf"))
        assert.equal(prepared.phase, "prepared")
        assert.ok(prepared.machineVersion)
        assert.equal(await consoleText(engine, id), "", "no instruction runs before resume")
        await engine.resume(id)
        assert.equal((await engine.inspect(id)).phase, "running")
        assert.ok((await engine.list()).includes(id))
        await until("the greeting", async () => (await consoleText(engine, id)).includes(subject.greeting(id)))
        await assert.rejects(engine.remove(id), /running/)
        await engine.kill(id)
        const exited = await engine.inspect(id)
        assert.equal(exited.phase, "exited")
        assert.equal(exited.cause, "killed")
        assert.ok((await engine.list()).includes(id))
        await engine.remove(id)
        assert.deepEqual(await engine.inspect(id), { phase: "absent" })
        assert.ok(!(await engine.list()).includes(id))
      }, "i-life"))

    test("every call may be repeated", () =>
      session(async (engine, id) => {
        const spec = await subject.spec(id, "deaf")
        const [one, two] = await Promise.all([engine.prepare(spec), engine.prepare(spec)])
        assert.deepEqual(one, two)
        assert.deepEqual(await engine.prepare(spec), one)
        await Promise.all([engine.resume(id), engine.resume(id)])
        await engine.resume(id)
        const again = await engine.prepare(spec)
        assert.equal(again.phase, "running")
        assert.equal(again.pid, one.pid)
        await Promise.all([engine.kill(id), engine.kill(id)])
        await engine.kill(id)
        await engine.remove(id)
        await engine.remove(id)
      }, "i-repeat"))

    test("the power button ends an obedient guest, and a listener hears of it", () =>
      session(async (engine, id) => {
        const heard: string[] = []
        engine.onChange((changed) => heard.push(changed))
        await start(engine, id, "obedient")
        await engine.requestShutdown(id)
        assert.equal((await untilPhase(engine, id, "exited")).cause, "requested")
        await until("the listener", () => heard.includes(id))
      }, "i-button"))

    test("a guest that powers itself off is told from one that was asked to", () =>
      session(async (engine, id) => {
        await start(engine, id, "power-off")
        await subject.powerOff?.(engine, id)
        assert.equal((await untilPhase(engine, id, "exited")).cause, "guest-shutdown")
      }, "i-poweroff"))

    test("a listener that has gone is not called", () =>
      session(async (engine, id) => {
        const heard: string[] = []
        const forget = engine.onChange((changed) => heard.push(changed))
        await start(engine, id, "obedient")
        forget()
        heard.length = 0
        await engine.requestShutdown(id)
        await untilPhase(engine, id, "exited")
        assert.deepEqual(heard, [])
      }, "i-forget"))

    test("reset starts the guest over in the same process", () =>
      session(async (engine, id) => {
        await start(engine, id, "deaf")
        const before = await engine.inspect(id)
        const greetings = count(await consoleText(engine, id), id)
        await engine.reset(id)
        await until("a second greeting", async () => count(await consoleText(engine, id), id) > greetings)
        assert.deepEqual(await engine.inspect(id), before)
      }, "i-reset"))

    test("the console is kept over stop and start, cut from its end, and gone after removal", () =>
      session(async (engine, id) => {
        await start(engine, id, "deaf")
        await engine.kill(id)
        const first = await consoleText(engine, id)
        assert.equal((await engine.prepare(await subject.spec(id, "deaf"))).phase, "prepared")
        assert.equal(await consoleText(engine, id), first)
        await engine.resume(id)
        const grown = await until("more output", async () => {
          const text = await consoleText(engine, id)
          return count(text, subject.greeting(id)) === 2 ? text : undefined
        })
        assert.ok(grown.startsWith(first))
        await engine.kill(id)
        const whole = await engine.consoleOutput(id, 65_536)
        assert.deepEqual(await engine.consoleOutput(id, 7), whole.subarray(-7))
        await engine.remove(id)
        await assert.rejects(engine.consoleOutput(id, 7))
      }, "i-console"))

    test("the display of a running machine gives a whole picture, and of no other", () =>
      session(async (engine, id) => {
        await engine.prepare(await subject.spec(id, "deaf"))
        await assert.rejects(engine.screenshot(id, false), /prepared/)
        await assert.rejects(engine.interrupt(id), /prepared/)
        await engine.resume(id)
        await engine.interrupt(id)
        const [one, two] = await Promise.all([engine.screenshot(id, false), engine.screenshot(id, true)])
        for (const picture of [one, two]) {
          const [head = "", width, height] =
            /^P6\n(\d+) (\d+)\n255\n/.exec(picture.toString("latin1", 0, 32)) ?? assert.fail("no PPM")
          assert.equal(picture.length, head.length + Number(width) * Number(height) * 3)
          assert.ok(picture.length <= pictureLimitBytes)
        }
        await engine.kill(id)
        await assert.rejects(engine.screenshot(id, false), /exited/)
        await assert.rejects(engine.interrupt(id), /exited/)
      }, "i-display"))

    test("the CPU time of living machines is told by process, and a share can be set of those alone", () =>
      session(async (engine, id) => {
        await assert.rejects(engine.limitCpu(id, 50), new RegExp(id))
        await start(engine, id, "deaf")
        const first = (await engine.cpuTimes()).get(id) ?? assert.fail("no CPU time")
        assert.ok(first.usedMs >= 0)
        assert.equal(typeof (await engine.limitCpu(id, 50)), "boolean")
        const later = (await engine.cpuTimes()).get(id)
        assert.equal(later?.process, first.process)
        assert.ok(later.usedMs >= first.usedMs)
        await engine.kill(id)
        assert.equal((await engine.cpuTimes()).has(id), false)
        await assert.rejects(engine.limitCpu(id, 50), /exited/)
        await engine.prepare(await subject.spec(id, "deaf"))
        assert.notEqual((await engine.cpuTimes()).get(id)?.process, first.process)
      }, "i-cpu"))

    test("an identity never keeps a machine from starting, with a template and without", () =>
      session(async (engine, id) => {
        const { templates } = engine
        if (!templates) return
        const [address, gateway] = ["192.0.2.2", "192.0.2.1"]
        const words = { hostName: "guest", authorizedKey: "", resolver: "", userData: new Uint8Array() }
        const spec = {
          ...(await subject.spec(id, "deaf")),
          identity: { ...words, address, gateway, prefixLength: 24 },
        }
        assert.ok(await templates.missing(spec), "none is there before one is made")
        await engine.prepare(spec)
        await engine.kill(id)
        const made = await templates.make(spec, 2_099_991).catch(() => undefined)
        assert.equal((await templates.missing(spec)) === undefined, made !== undefined)
        assert.equal(await templates.has(made ?? "none"), made !== undefined)
        assert.equal((await engine.prepare(spec)).phase, "prepared")
        await engine.resume(id)
        assert.equal((await engine.inspect(id)).phase, "running")
        await until("the greeting", async () => (await consoleText(engine, id)).includes(subject.greeting(id)))
        if (made === undefined) return
        await templates.remove(made)
        assert.equal(await templates.has(made), false)
        assert.ok(await templates.missing(spec))
        await templates.remove(made)
      }, "i-identity"))

    test("a hibernated guest goes on where it was, and its image is not touched by that", () =>
      withImage(async (image) =>
        session(async (engine, id) => {
          await start(engine, id, "obedient")
          await engine.hibernate(id, image)
          const exited = await engine.inspect(id)
          assert.deepEqual([exited.phase, exited.cause], ["exited", "requested"])
          const [before, written] = [await consoleText(engine, id), readFileSync(image.path)]
          const spec = { ...(await subject.spec(id, "obedient")), resumeFrom: image }
          const [prepared, again] = await Promise.all([engine.prepare(spec), engine.prepare(spec)])
          assert.equal(prepared.phase, "prepared")
          assert.equal(again.pid, prepared.pid)
          await engine.resume(id)
          assert.equal((await engine.inspect(id)).phase, "running")
          assert.deepEqual(readFileSync(image.path), written)
          await assert.rejects(engine.hibernate(id, { ...image, path: "/nowhere/image" }), { code: "ENOENT" })
          assert.equal((await engine.inspect(id)).phase, "running", "one that cannot be saved goes on")
          await engine.requestShutdown(id)
          assert.equal((await untilPhase(engine, id, "exited")).cause, "requested")
          assert.equal(await consoleText(engine, id), before, "it did not start over")
        }, "i-hibernate"),
      ))

    test("memory that is not what was written is refused before the guest runs, and the guest boots without it", () =>
      withImage(async (image) =>
        session(async (engine, id) => {
          await start(engine, id, "deaf")
          await engine.hibernate(id, image)
          const good = readFileSync(image.path)
          const spec = await subject.spec(id, "deaf")
          const bad = [good.with(good.length >> 1, good[good.length >> 1]! ^ 1), good.subarray(0, good.length - 20)]
          for (const bytes of bad) {
            writeFileSync(image.path, bytes)
            await assert.rejects(engine.prepare({ ...spec, resumeFrom: image }), UnusableMemory)
            assert.equal((await engine.inspect(id)).phase, "exited")
          }
          writeFileSync(image.path, good)
          const other = { path: image.path, key: newImageKey() }
          await assert.rejects(engine.prepare({ ...spec, resumeFrom: other }), UnusableMemory)
          const stranger = { ...spec, id: "i-stranger", resumeFrom: image }
          await assert.rejects(engine.prepare(stranger), UnusableMemory)
          assert.deepEqual(await engine.inspect("i-stranger"), { phase: "absent" })
          await startGuest(subject, engine, id, "deaf")
        }, "i-refused"),
      ))

    test("a machine that does not run cannot be hibernated, and a kill ends a save", () =>
      withImage(async (image) =>
        session(async (engine, id) => {
          await assert.rejects(engine.hibernate(id, image), new RegExp(id))
          await engine.prepare(await subject.spec(id, "deaf"))
          await assert.rejects(engine.hibernate(id, image), /prepared/)
          await engine.resume(id)
          const saved = engine.hibernate(id, image).then(
            () => "saved",
            () => "refused",
          )
          await engine.kill(id)
          // It may have been done already: then there is an image.
          assert.equal((await saved) === "saved", existsSync(image.path))
          assert.equal((await engine.inspect(id)).phase, "exited")
          assert.equal(existsSync(`${image.path}.new`), false)
          await assert.rejects(engine.hibernate(id, image), /exited/)
        }, "i-unsaved"),
      ))

    test("after a reopen the machines that live on are found, and no others", async () => {
      const id = "i-reopen"
      const engine = await subject.open()
      await start(engine, id, "obedient")
      const before = await engine.inspect(id)
      await engine.close()
      const again = await subject.open()
      try {
        if (!subject.machinesOutliveUs) {
          assert.deepEqual(await again.list(), [])
          return
        }
        assert.deepEqual(await again.list(), [id])
        assert.deepEqual(await again.inspect(id), before)
        const heard: string[] = []
        again.onChange((changed) => heard.push(changed))
        await again.requestShutdown(id)
        assert.equal((await untilPhase(again, id, "exited")).cause, "requested")
        await until("the listener", () => heard.includes(id))
      } finally {
        await again.kill(id)
        await again.remove(id)
        await again.close()
      }
    })
  })
}
