import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import path from "node:path"
import { after, test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { until } from "../../conformance.ts"
import type { MachineSpec } from "../../types.ts"
import { identify } from "../process.ts"
import { endAll, type Lab, prepareTraced, templateUid, type WarmEngine, warmLab } from "./lab.ts"

const lab = await warmLab("hvk")
after(() => lab.cleanUp())

/** Pids of processes that have the folder's or the prefix's name in their control group or arguments, zombies aside. */
function processes({ prefix }: Lab): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        const words = ["cgroup", "cmdline"].map((name) => readFileSync(`/proc/${pid}/${name}`, "utf8")).join()
        return words.includes(prefix) && identify(pid) !== undefined
      } catch {
        return false
      }
    })
}

/** As the process reads it. */
const textOf = ({ identity, ...spec }: MachineSpec) =>
  JSON.stringify({ ...spec, identity: { ...identity, userData: [...(identity?.userData ?? [])] } })

/** Runs the process, kills it after `delayMs` or once it says that it is done; true when it was. */
async function killed({ home, prefix }: Lab, what: "make" | "clone" | "unheard", spec: MachineSpec, delayMs: number) {
  const script = path.join(import.meta.dirname, "testing", "killed.ts")
  const child = spawn(process.execPath, [script, home, prefix, what, textOf(spec)], {
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
  await ready
  const end = performance.now() + delayMs
  // The moment is the point of the test, not a wait for something.
  while (performance.now() < end && !said.includes("done") && child.exitCode === null && child.signalCode === null)
    await sleep(5)
  child.kill("SIGKILL")
  await ended
  return said.includes("done")
}

test(
  "killed at any moment of making a template, nothing is left of it but a whole one",
  { timeout: 400_000 },
  async (t) => {
    const spec = lab.spec(1, "i-maker")
    const moments: number[] = [30, 1500, 2000 + Math.random() * 4000]
    for (let whole = false; !whole;) {
      const delayMs = moments.shift() ?? 180_000
      whole = await killed(lab, "make", spec, delayMs)
      const engine = await lab.open()
      try {
        assert.deepEqual(processes(lab), [], `after ${delayMs} ms`)
        const left = readdirSync(lab.templates)
        assert.equal(left.length, whole ? 1 : 0, left.join())
        assert.deepEqual(readdirSync(path.join(lab.home, "run", "template")), [])
        assert.ok(!existsSync(`/run/netns/${lab.prefix}-template`))
        assert.deepEqual(await engine.list(), [])
        if (whole) assert.match(await prepareTraced(engine, spec), /^clones/)
      } finally {
        await endAll(engine)
        await engine.close()
      }
      t.diagnostic(`${delayMs | 0} ms: ${whole ? "whole" : "nothing left"}`)
    }
  },
)

test(
  "killed at any moment of a clone's start, the next engine has somebody or nobody",
  { timeout: 200_000 },
  async (t) => {
    for (const delayMs of [20, 120, 250, 400, 60_000]) {
      const whole = await killed(lab, "clone", lab.spec(2, "i-clone"), delayMs)
      const engine = await lab.open()
      try {
        const found = await engine.list()
        const { phase } = await engine.inspect("i-clone")
        t.diagnostic(`${delayMs} ms: ${phase}`)
        // Prepared: it has not been cloned yet.
        if (whole) assert.equal(phase, "running")
        else assert.ok(["absent", "exited", "running"].includes(phase), phase)
        if (phase === "absent") assert.deepEqual(found, [])
        // What it may have written to its disk is nobody's.
        if (phase === "exited") assert.equal((await engine.inspect("i-clone")).cause, "nameless")
        if (phase === "running") assert.equal((await lab.ssh(2, "hostname")).trim(), "clone-2")
        if (phase !== "running") assert.deepEqual(processes(lab), [])
      } finally {
        await endAll(engine)
        await engine.close()
      }
    }
  },
)

test(
  "killed before it tells a clone to go on, the next engine does so, and user-data runs once",
  { timeout: 200_000 },
  async () => {
    const spec = lab.spec(3, "i-waits", "#!/bin/sh\necho user-data ran >/dev/console\n")
    assert.equal(await killed(lab, "unheard", spec, 60_000), false)
    const said = async (engine: WarmEngine) => (await engine.consoleOutput(spec.id, 65_536)).toString()
    for (const round of ["first", "second"]) {
      const engine = await lab.open()
      try {
        assert.equal((await engine.inspect(spec.id)).phase, "running", round)
        await until("user-data", async () => (await said(engine)).includes("exit code 0"), 60_000)
        assert.equal((await said(engine)).split("user-data ran").length, 2)
      } finally {
        if (round === "second") await endAll(engine)
        await engine.close()
      }
    }
  },
)

/** Answers the one that tries the template, and else as the machine's id says. */
const badAgent = `#!/bin/sh
exec 3<>"$1"
echo "waiting 1" >&3
while read -r line <&3; do
  case $line in
    warm-*) echo ready >&3 ;;
    i-silent) ;;
    i-garbage) echo "I am root" >&3 ;;
    i-twice) printf 'ready\\nready\\n' >&3 ;;
  esac
done
sleep 100000
`

test(
  "a clone whose agent is silent, talks nonsense or answers twice is ended, and boots",
  { timeout: 300_000 },
  async () => {
    const bad = await warmLab("hvb", (disk) => {
      const script = path.join(lab.home, "agent")
      writeFileSync(script, badAgent)
      const commands = ["rm /usr/lib/fractus/agent", `write ${script} /usr/lib/fractus/agent`]
      commands.push("sif /usr/lib/fractus/agent mode 0100755")
      execFileSync("debugfs", ["-w", "-f", "-", `${disk}?offset=1048576`], {
        input: commands.join("\n"),
        stdio: "pipe",
      })
    })
    const kept = path.join(bad.home, "kept")
    try {
      const first = await bad.open()
      await first.templates.make(bad.spec(1, "i-first"), templateUid)
      await first.close()
      cpSync(bad.templates, kept, { recursive: true })
      for (const [id, reason] of [
        ["i-silent", /silent for 4000 ms/],
        ["i-garbage", /the agent says: I am root/],
        ["i-twice", /the agent says: ready ready/],
      ] as const) {
        rmSync(bad.templates, { recursive: true })
        cpSync(kept, bad.templates, { recursive: true })
        const engine = await bad.open(4000)
        try {
          const spec = bad.spec(1, id)
          assert.match(await prepareTraced(engine, spec), /^clones/)
          await assert.rejects(engine.resume(id), reason)
          const { phase, cause } = await engine.inspect(id)
          assert.deepEqual([phase, cause], ["exited", "nameless"])
          assert.deepEqual(processes(bad), [])
          assert.match(await prepareTraced(engine, bad.spec(1, id)), /boots: the last template could not be used/)
        } finally {
          await endAll(engine)
          await engine.close()
        }
      }
    } finally {
      bad.cleanUp()
    }
  },
)
