/** Needs root: real processes as another user, real mount and network namespaces. */
import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { lives, startTime } from "./process.ts"
import { supervise, type SuperviseOptions, type Supervised } from "./supervise.ts"

const uid = 2_309_900

async function scene(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "fractus-supervise-"))
  await chmod(directory, 0o755)
  const children: Supervised[] = []
  t.after(async () => {
    for (const child of children) await child.stop(100)
    await rm(directory, { recursive: true, force: true })
  })
  const start = async (more: Partial<SuperviseOptions>) => {
    const child = await supervise({
      name: "child",
      argv: ["sleep", "1000"],
      uid,
      gid: uid,
      env: {},
      log: () => {},
      runDirectory: join(directory, "run"),
      ...more,
    })
    children.push(child)
    return child
  }
  const output = () => readFile(join(directory, "run", "child.log"), "utf8")
  return { directory, start, output }
}

async function eventually<T>(look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  const deadlineMs = performance.now() + 60_000
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > deadlineMs) throw new Error("it did not happen")
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
const gone = (pid: number) => eventually(() => startTime(pid) === undefined)

test("a child has its user, no group, no capability, and cannot gain any", async (t) => {
  const { start } = await scene(t)
  const child = await start({ env: { LANG: "C" } })
  const pid = child.pid()!
  const status = await eventually(async () => {
    const text = await readFile(`/proc/${pid}/status`, "utf8")
    return text.includes(`Name:\tsleep`) && text
  })
  assert.match(status, new RegExp(`Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}`))
  assert.match(status, new RegExp(`Gid:\\t${uid}\\t${uid}`))
  assert.match(status, /Groups:\s*\n/)
  assert.match(status, /NoNewPrivs:\t1/)
  for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) assert.match(status, new RegExp(`Cap${set}:\t0+\n`))
  const environment = (await readFile(`/proc/${pid}/environ`, "utf8")).split("\0").map((each) => each.split("=")[0])
  assert.deepEqual(new Set(environment), new Set(["LANG", "PATH", "FRACTUS_SUPERVISED", ""]))
  await child.stop()
  assert.equal(startTime(pid), undefined)
})

test("bind mounts open closed parents to the child alone, and leave nothing behind", async (t) => {
  const { directory, start, output } = await scene(t)
  const closed = join(directory, "closed")
  const tree = join(closed, "a tree; with $odd name")
  await mkdir(tree, { recursive: true })
  await writeFile(join(tree, "file"), "inside")
  await chmod(closed, 0o700)
  const home = join(closed, "home")
  await mkdir(home)
  execFileSync("chown", [`${uid}:${uid}`, home])
  const code = join(directory, "mounts", "code")
  const script = `cat ${code}/file; touch ${code}/new || echo " refused"; touch ${directory}/mounts/home/written; cat '${tree}/file' || echo closed; sleep 1000`
  const mountsHere = async () =>
    (await readFile("/proc/self/mountinfo", "utf8")).split("\n").filter((line) => line.includes(directory))
  const child = await start({
    argv: ["sh", "-c", script],
    bindMounts: [
      { from: tree, to: code, readOnly: true },
      { from: home, to: join(directory, "mounts", "home"), readOnly: false },
    ],
  })
  const text = await eventually(async () => /closed/.test(await output()) && (await output()))
  assert.match(text, /^inside/)
  assert.match(text, / refused/)
  assert.deepEqual(await readdir(home), ["written"])
  assert.deepEqual(await readdir(code), [], "not seen outside")
  assert.deepEqual(await mountsHere(), [])
  await child.stop()
  assert.deepEqual(await readdir(join(directory, "mounts")), [])
})

test("a child runs in its network namespace", async (t) => {
  const namespace = `frt${process.pid}`
  execFileSync("ip", ["netns", "add", namespace])
  t.after(() => execFileSync("ip", ["netns", "del", namespace]))
  const { start, output } = await scene(t)
  const child = await start({ namespace, argv: ["sh", "-c", "ls /sys/class/net; echo end; sleep 1000"] })
  await eventually(async () => (await output()).includes("end"))
  assert.deepEqual((await output()).split("\n").filter(Boolean), ["lo", "end"])
  await child.stop()
})

test("a child that ends is started again", async (t) => {
  const { start } = await scene(t)
  const child = await start({})
  const first = child.pid()!
  process.kill(first, "SIGKILL")
  const second = await eventually(() => child.pid() !== first && child.pid())
  assert.notEqual(second, first)
})

test("a child that ignores SIGTERM is killed at the deadline", async (t) => {
  const { start, output } = await scene(t)
  const child = await start({ argv: ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"] })
  await eventually(async () => (await output()).includes("ready"))
  const pid = child.pid()!
  await child.stop(100)
  assert.equal(startTime(pid), undefined)
})

test("a child found alive is kept, or replaced as asked, or because its command changed", async (t) => {
  const { start } = await scene(t)
  const first = await start({})
  const pid = first.pid()!
  first.leave()
  const second = await start({})
  assert.equal(second.adopted, true)
  assert.equal(second.pid(), pid)
  second.leave()
  const third = await start({ existing: "replace" })
  assert.equal(third.adopted, false)
  await gone(pid)
  const replaced = third.pid()!
  third.leave()
  const fourth = await start({ argv: ["sleep", "2000"] })
  assert.equal(fourth.adopted, false)
  await gone(replaced)
})

test("an adopted child that ends is started again", async (t) => {
  const { start } = await scene(t)
  const first = await start({})
  first.leave()
  const second = await start({})
  const pid = second.pid()!
  process.kill(pid, "SIGKILL")
  assert.notEqual(await eventually(() => second.pid() !== pid && second.pid()), pid)
})

test("a supervisor killed at any moment leaves nothing that the next one does not find", async (t) => {
  const { directory, start } = await scene(t)
  const code = `import { supervise } from "#host/supervise/supervise.ts"
    process.stdout.write("go")
    await supervise({ name: "child", argv: ["sleep", "1000"], uid: ${uid}, gid: ${uid}, env: {}, log() {}, runDirectory: process.argv[1] })
    setInterval(() => {}, 1e6)`
  const alive = () =>
    execFileSync("sh", ["-c", `pgrep -u ${uid} -x sleep || true`], { encoding: "utf8" })
      .split("\n")
      .filter((found) => found !== "" && startTime(Number(found)) !== undefined)
  for (let round = 0; round < 8; round++) {
    const killed = spawn(process.execPath, ["--input-type=module", "-e", code, join(directory, "run")], {
      cwd: join(import.meta.dirname, "../.."),
      stdio: ["ignore", "pipe", "inherit"],
    })
    const ended = new Promise((resolve) => killed.once("exit", resolve))
    await new Promise((resolve) => killed.stdout.once("data", resolve))
    await new Promise((resolve) => setTimeout(resolve, round * 4))
    killed.kill("SIGKILL")
    await ended
    const child = await start({})
    const pid = child.pid()!
    // The one before may be ended and not reaped yet, and the new one not be "sleep" yet.
    await eventually(() => alive().join() === `${pid}`)
    child.leave()
  }
})

test("a child of the same folder on another host is left alone", async (t) => {
  const { directory, start } = await scene(t)
  const runDirectory = join(directory, "run")
  const argv = ["unshare", "-n", process.execPath, "--input-type=module", "-e"]
  const options = { name: "child", argv: ["sleep", "1000"], uid, gid: uid, env: {}, runDirectory }
  const theirs = Number(
    execFileSync(argv[0]!, [
      ...argv.slice(1),
      `import { supervise } from "${new URL("supervise.ts", import.meta.url).href}"
const child = await supervise({ ...${JSON.stringify(options)}, log: () => {} })
console.log(child.pid())
child.leave()`,
    ]),
  )
  t.after(() => lives({ pid: theirs, startTime: startTime(theirs) ?? "" }) && process.kill(theirs, "SIGKILL"))
  // Its record is in a /run of its own.
  await rm(runDirectory, { recursive: true })
  const child = await start({})
  assert.equal(child.adopted, false)
  await child.stop()
  assert.notEqual(startTime(theirs), undefined, "it lives")
})

test("a child that is not ready in time, or ends first, is an error and does not stay", async (t) => {
  const { start, directory } = await scene(t)
  await assert.rejects(start({ ready: async () => false, readyMs: 100 }), /not ready within 100 ms/)
  await assert.rejects(start({ argv: ["false"], ready: async () => false }), /ended before it was ready/)
  assert.deepEqual(await readdir(join(directory, "run")), ["child.log"])
  const child = await start({ ready: async () => true })
  assert.ok(lives({ pid: child.pid()!, startTime: startTime(child.pid()!)! }))
})

test("output is bounded while the child goes on writing", async (t) => {
  const { directory, start } = await scene(t)
  await start({ argv: ["sh", "-c", "yes 0123456789 | head -c 3000000; sleep 1000"], maxLogBytes: 100_000 })
  const kept = await eventually(async () => {
    const names = await readdir(join(directory, "run"))
    const { length } = await readFile(join(directory, "run", "child.log"))
    return names.includes("child.log.1") && length <= 100_000 && names
  })
  assert.ok(
    (
      await readFile(
        join(
          directory,
          "run",
          kept.find((name) => name.endsWith(".1"))!,
        ),
      )
    ).length <= 50_000,
  )
})
