/** Whoever keeps a pool is killed: while a clone is made for it, and at each step of giving it away. */
import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { after, test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { NoneWaits } from "../../types.ts"
import { identify } from "../process.ts"
import { endAll, prepareTraced, templateUid, type WarmEngine, warmLab } from "./lab.ts"

const lab = await warmLab("hvq")
after(() => lab.cleanUp())
const id = "i-0123456789abcdef0"

/** With a new disk, and another one for the clone that waits. */
function newSpec() {
  const made = lab.spec(1, id)
  const disks = made.disks.map((disk) => ({ ...disk, serial: "vol0123456789abcdef0" }))
  copyFileSync(disks[0]!.path, `${disks[0]!.path}.spare`)
  return { ...made, disks }
}

const ip = (...words: readonly string[]) => execFileSync("ip", ["-n", lab.prefix, ...words], { encoding: "utf8" })
/** The machine brings one. */
function removeTap() {
  if (ip("link", "show").includes("tap1:")) ip("link", "del", "tap1")
}

/** Pids of processes of this home's machines. */
const machines = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const { prefix } = lab
        const group = readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`/${prefix}/`)
        return group && identify(Number(pid)) !== undefined
      } catch {
        return false
      }
    })

/** Runs the process and kills it so long after it is ready, or once it is done; true when it was. */
async function killed(what: "pool" | "wait", delayMs: number): Promise<boolean> {
  const { identity, ...spec } = newSpec()
  const text = JSON.stringify({ ...spec, identity: { ...identity, userData: [...identity.userData] } })
  removeTap()
  const script = path.join(import.meta.dirname, "testing", "killed.ts")
  const child = spawn(process.execPath, ["--experimental-ffi", script, lab.home, lab.prefix, what, text], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
  })
  const ended = new Promise((resolve) => child.once("exit", resolve))
  let said = ""
  const { promise: ready, resolve } = Promise.withResolvers<void>()
  child.stdout.on("data", (part: Buffer) => {
    said += part.toString()
    resolve()
  })
  await Promise.race([ready, ended])
  assert.match(said, /ready/)
  const end = performance.now() + delayMs
  // The moment is the point of the test, not a wait for something.
  while (performance.now() < end && !said.includes("done") && child.exitCode === null) await sleep(2)
  child.kill("SIGKILL")
  await ended
  return said.includes("done")
}

const left = () => [
  ...readdirSync("/run/netns").filter((name) => name.startsWith(`${lab.prefix}-pool`)),
  ...(existsSync(path.join(lab.home, "run", "pool")) ? readdirSync(path.join(lab.home, "run", "pool")) : []),
]

async function withEngine(work: (engine: WarmEngine) => Promise<void>): Promise<void> {
  const engine = await lab.open()
  try {
    await work(engine)
  } finally {
    await endAll(engine)
    await engine.close()
  }
}

test(
  "killed while a clone of the pool is made or given away, nobody is left who waits",
  { timeout: 300_000 },
  async (t) => {
    await withEngine(async (engine) => void (await engine.templates.make(newSpec(), templateUid)))
    for (const [what, delayMs] of [
      ["wait", 30],
      ["wait", 250],
      ["wait", 60_000],
      ["pool", 0],
      ["pool", 15],
      ["pool", 30],
      ["pool", 60],
      ["pool", 120],
      ["pool", 60_000],
    ] as const) {
      const whole = await killed(what, delayMs)
      await withEngine(async (engine) => {
        assert.deepEqual(left(), [], `${what} ${delayMs} ms`)
        const { phase, cause } = await engine.inspect(id)
        t.diagnostic(`${what} ${delayMs} ms: ${phase} ${cause ?? ""}`)
        if (what === "pool" && whole) assert.equal(phase, "running")
        if (what === "wait") assert.equal(phase, "absent")
        // The host makes its disk anew.
        if (phase === "exited") assert.equal(cause, "nameless")
        if (phase === "running") {
          for (const words of [
            "link set tap1 up",
            "addr replace 192.0.2.1/32 dev tap1",
            "route replace 192.0.2.11/32 dev tap1",
          ])
            ip(...words.split(" "))
          assert.equal((await lab.ssh(1, "hostname")).trim(), "clone-1")
        } else assert.deepEqual(machines(), [])
      })
      assert.deepEqual(machines(), [])
    }
  },
)

test(
  "a clone of the pool whose process ends, or whose disk cannot be given away, is no loss",
  { timeout: 200_000 },
  () =>
    withEngine(async (engine) => {
      const pool = engine.templates.pool ?? assert.fail()
      const uids = { first: 2_099_700, count: 1 }
      const like = () => {
        const spec = newSpec()
        return { ...spec, disks: spec.disks.map((disk) => ({ ...disk, path: `${disk.path}.spare` })) }
      }
      await engine.templates.make(newSpec(), templateUid)
      await pool.add(like(), uids)
      await assert.rejects(pool.add(like(), uids), /all 1 users of the pool are in use/)
      process.kill(pool.members()[0]!.pid, "SIGKILL")
      const end = performance.now() + 60_000
      while (pool.members().length > 0 || left().length > 0) {
        assert.ok(performance.now() < end, "it is still there")
        await sleep(20)
      }
      const member = await pool.add(like(), uids)
      // Its serial is of another length: it goes another way, as if there were no pool.
      removeTap()
      const spec = newSpec()
      const disks = spec.disks.map((disk) => ({ ...disk, serial: "short" }))
      await assert.rejects(engine.prepare({ ...spec, disks, fromPool: member }), NoneWaits)
      await assert.rejects(engine.prepare({ ...spec, fromPool: "i-nobody" }), NoneWaits)
      assert.equal(pool.members()[0]?.id, member)
      assert.match(await prepareTraced(engine, { ...spec, disks }), /^clones template [0-9a-f]{32}$/)
      await engine.resume(id)
      assert.equal((await lab.ssh(1, "hostname")).trim(), "clone-1")
    }),
)
