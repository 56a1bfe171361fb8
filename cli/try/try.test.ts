import assert from "node:assert/strict"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { assertSchema } from "../fixture/schema.ts"
import { inRepository } from "../repository.ts"
import { answers, openRig, until } from "./rig.ts"

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

test("a command has a cloud of its own, our input and our exit code, and the cloud is gone afterwards", async (context) => {
  const rig = openRig(context)
  const ask = `fetch(process.env.AWS_ENDPOINT_URL + "/_fractus/status").then((a) => a.json()).then((a) => console.log(a.engine))`
  const script = `cat; echo "$AWS_ENDPOINT_URL"; ${process.execPath} -e '${ask}'
    printenv AWS_PROFILE; ${inRepository("fractus")} aws --version >/dev/null 2>&1; exit 7`
  const env = { AWS_PROFILE: "production", AWS_SESSION_TOKEN: "mine" }
  const { code, stdout, stderr } = await rig.tryOut(["--", "sh", "-c", script], { input: "given\n", env }).ended
  assert.equal(code, 7, stderr)
  const [given, endpoint = "", ...rest] = stdout.trimEnd().split("\n")
  assert.deepEqual([given, ...rest], ["given", "sim"])
  await rig.assertNothingLeft()
  assert.equal(await answers(endpoint), false)
})

test("many, side by side, do not meet and leave nothing", async (context) => {
  const rig = openRig(context)
  const turns = Array.from({ length: 3 }, () => async () => {
    const both = [0, 1].map(() => rig.tryOut(["sh", "-c", 'echo "$AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID"']).ended)
    return (await Promise.all(both)).map(({ stdout }) => stdout.trim())
  })
  const said: string[] = []
  for (const turn of turns) said.push(...(await turn()))
  assert.equal(new Set(said.map((line) => line.split(" ")[1])).size, 6, said.join("\n"))
  assert.deepEqual(rig.left(), [])
  for (const line of said) assert.equal(await answers(line.split(" ")[0] ?? ""), false)
})

test("a signal that comes to us reaches the command, and its end is ours", async (context) => {
  const rig = openRig(context)
  for (const [signal, number] of Object.entries(signalNumbers) as [keyof typeof signalNumbers, number][]) {
    const running = rig.tryOut([
      "sh",
      "-c",
      `trap 'echo felt; exit 40' ${number}; echo up; for i in $(seq 1000); do sleep 0.02; done`,
    ])
    assert.equal(await running.line(), "up")
    running.child.kill(signal)
    const { code, stdout, stderr } = await running.ended
    assert.deepEqual([code, stdout], [40, "up\nfelt\n"], `${signal}: ${stderr}`)
  }
  const { code } = await rig.tryOut(["sh", "-c", "kill -9 $$"]).ended
  assert.equal(code, 128 + 9)
  assert.deepEqual(rig.left(), [])
})

const terminals = existsSync("/dev/pts/ptmx")

test(
  "Ctrl-C on a terminal reaches the command by itself, once",
  { skip: !terminals && "no terminals can be made here" },
  async (context) => {
    const rig = openRig(context)
    const count = join(rig.folder, "count")
    writeFileSync(
      join(rig.folder, "command"),
      `trap 'echo felt >>${count}' INT; echo up; until [ -s ${count} ]; do sleep 0.02; done; sleep 0.3; exit 5`,
    )
    // Without "exec" a shell may stand between, and the keys end that one.
    const line = `exec ${inRepository("fractus")} try -- sh ${join(rig.folder, "command")}`
    const running = rig.start(["script", "-qefc", line, "/dev/null"], { keepInput: true })
    assert.equal((await running.line()).trim(), "up")
    running.child.stdin?.write("\u0003")
    const { code } = await running.ended
    assert.equal(code, 5)
    assert.equal(readFileSync(count, "utf8"), "felt\n")
  },
)

test("a command that is not there is 127, one that cannot be run 126, none at all is usage", async (context) => {
  const rig = openRig(context)
  const plain = join(rig.folder, "plain")
  writeFileSync(plain, "text")
  chmodSync(plain, 0o644)
  const missing = await rig.tryOut(["--", join(rig.folder, "missing")]).ended
  assert.equal(missing.code, 127)
  assert.match(missing.stderr, /missing: command not found/)
  assert.equal((await rig.tryOut(["--", plain]).ended).code, 126)
  const none = await rig.tryOut([]).ended
  assert.equal(none.code, 2)
  assert.match(none.stderr, /a command is missing/)
  assert.deepEqual(rig.left(), [])
})

test("when we are killed our daemon ends by itself, with its home", async (context) => {
  const rig = openRig(context)
  const running = rig.tryOut(["sh", "-c", 'echo "$AWS_ENDPOINT_URL $$"; exec sleep 60'])
  const [endpoint = "", command = ""] = (await running.line()).split(" ")
  assert.equal(await answers(endpoint), true)
  running.child.kill("SIGKILL")
  await until("the daemon ends", async () => !(await answers(endpoint)))
  process.kill(Number(command), "SIGKILL") // orphaned, as any command whose parent is killed
  await running.ended
  await rig.assertNothingLeft()
})

test("a home whose daemon was killed with us is removed by the next run; one that lives is left alone", async (context) => {
  const rig = openRig(context)
  const living = rig.tryOut(["--", "sh", "-c", "echo up; exec sleep 60"])
  const killed = rig.tryOut(["--", "sh", "-c", 'echo "$FRACTUS_HOME $$"; exec sleep 60'])
  await living.line()
  const [home = "", command = ""] = (await killed.line()).split(" ")
  const { pid } = JSON.parse(readFileSync(join(home, "daemon.json"), "utf8"))
  killed.child.kill("SIGSTOP")
  process.kill(pid, "SIGKILL")
  killed.child.kill("SIGKILL")
  process.kill(Number(command), "SIGKILL")
  await killed.ended
  const homes = (): string[] => readdirSync(rig.folder).filter((name) => name.startsWith("fractus-try-"))
  assert.equal(homes().length, 2, "the test left nothing to sweep")
  mkdirSync(join(rig.folder, "fractus-try-other")) // not ours by its name
  assert.equal((await rig.tryOut(["true"]).ended).code, 0)
  assert.equal(homes().length, 2)
  assert.equal(homes().includes(home.split("/").at(-1) ?? ""), false)
  living.child.kill("SIGTERM")
  assert.equal((await living.ended).code, 128 + 15)
  assert.deepEqual(homes(), ["fractus-try-other"])
})

test("--json tells of the cloud in one line and serves until standard input ends", async (context) => {
  const rig = openRig(context)
  const running = rig.tryOut(["--json"], { keepInput: true })
  const line = await running.line()
  assertSchema("try", line)
  const { endpoint, controlToken } = JSON.parse(line)
  const reset = (token: string): Promise<Response> =>
    fetch(`${endpoint}/_fractus/reset`, { method: "POST", headers: { "x-fractus-token": token } })
  assert.equal((await reset(controlToken)).status, 200)
  assert.equal((await reset("guessed")).status, 403)
  running.child.stdin?.end()
  assert.equal((await running.ended).code, 0)
  assert.deepEqual(rig.left(), [])
})

test("a cloud that cannot start says why, and nothing stays", async (context) => {
  const rig = openRig(context)
  // No file may grow beyond 4 KiB: enough for the configuration, not for the store.
  const { code, stderr } = await rig.start(["sh", "-c", `ulimit -f 8; exec ${inRepository("fractus")} try -- true`])
    .ended
  assert.equal(code, 1)
  assert.match(stderr, /the cloud did not start: .*store\.sqlite cannot be read or written/)
  assert.deepEqual(rig.left(), [])
})
