import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { runningDaemon, waitUntilGone } from "./daemon/process.ts"
import { assertSchema } from "./fixture/schema.ts"
import { freePort } from "./ports.ts"
import { inRepository } from "./repository.ts"

type Result = { code: number | null; stdout: string; stderr: string }

/** A home of its own, whose daemon is gone at the end of the test however that comes. */
const world = async (context: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-cli-"))
  const home = join(folder, "home")
  const port = await freePort()
  context.after(() => {
    const daemon = existsSync(home) ? runningDaemon(home) : undefined
    if (daemon !== undefined) process.kill(daemon.pid, "SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  })
  const node = async (argv: string[], extra: NodeJS.ProcessEnv = {}): Promise<Result> => {
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
    const env = { ...inherited, HOME: folder, XDG_CACHE_HOME: join(folder, "cache"), FRACTUS_HOME: home, ...extra }
    const child = spawn(process.execPath, argv, { env, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")))
    const [code] = await once(child, "close")
    return { code, stdout, stderr }
  }
  const withFake = (command: string, options: object): Promise<Result> =>
    node([inRepository("cli/fixture/up.ts"), command, JSON.stringify(options)])
  const up = (options: object = {}): Promise<Result> => withFake("up", { engine: "sim", port, json: true, ...options })
  const fractus = (...argv: string[]): Promise<Result> => node([inRepository("cli/main.ts"), ...argv])
  return { folder, home, port, node, up, fractus, restart: () => withFake("restart", { json: true }) }
}

test("up waits for the image, prints all that is needed and writes the profile", async (context) => {
  const { folder, home, port, up } = await world(context)
  const first = await up()
  assert.equal(first.code, 0, first.stderr)
  assertSchema("up", first.stdout)
  const report = JSON.parse(first.stdout)
  assert.equal(report.endpoint, `http://127.0.0.1:${port}`)
  assert.equal(report.accessKeyId, "AKIAONE")
  assert.equal(report.images[0].state, "available")
  assert.equal(report.next.length, 3)
  assert.match(
    readFileSync(join(folder, ".aws/config"), "utf8"),
    new RegExp(`endpoint_url = http://127.0.0.1:${port}\n`),
  )
  assert.match(readFileSync(join(home, "daemon.log"), "utf8"), /serving/)
  const again = await up()
  assert.equal(again.code, 0, again.stderr)
  assert.deepEqual(JSON.parse(again.stdout), report)
  assert.equal(existsSync(join(home, "up.lock")), false)
})

test("two runs of up at once start one daemon", async (context) => {
  const { home, up } = await world(context)
  const results = await Promise.all([up(), up({ profile: false })])
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 0],
    results.map(({ stderr }) => stderr).join("\n"),
  )
  assert.equal(readFileSync(join(home, "daemon.log"), "utf8").split("serving").length - 1, 1)
})

test("up with other options on a home that is served is refused and says so", async (context) => {
  const { up } = await world(context)
  await up({ profile: false })
  const other = await up({ simSpeed: 60 })
  assert.equal(other.code, 4)
  assert.match(other.stderr, /--sim-speed 60 \(now 1\)/)
  assert.match(other.stderr, /To mend it: .* down/)
})

test("a port that another home serves is refused, naming that home", async (context) => {
  const { folder, home, up } = await world(context)
  await up({ profile: false })
  const second = await up({ home: join(folder, "second"), profile: false })
  assert.equal(second.code, 4)
  assert.ok(second.stderr.includes(`in use by`), second.stderr)
  assert.match(second.stderr, new RegExp(`pid ${runningDaemon(home)?.pid}`))
})

test("a daemon that ends at its start is reported by what it left, or by its exit", async (context) => {
  const { folder, home, node, up } = await world(context)
  const broken = join(folder, "broken.ts")
  const options = JSON.stringify({ engine: "sim", home, profile: false, port: await freePort() })
  const harness = join(folder, "harness.ts")
  const imports = `import { up } from ${JSON.stringify(inRepository("cli/commands/up.ts"))}
import { exitCodeOf } from ${JSON.stringify(inRepository("cli/run.ts"))}
await up(${options}, { daemonMain: ${JSON.stringify(broken)} }).catch((error) => { process.exitCode = exitCodeOf(error) })`
  writeFileSync(harness, imports)
  const content = JSON.stringify({ code: "store", message: "the store is damaged", mend: "cp backup store" })
  writeFileSync(
    broken,
    `import { writeFileSync } from "node:fs"
writeFileSync(${JSON.stringify(join(home, "daemon-error.json"))}, ${JSON.stringify(content)}); process.exit(1)`,
  )
  const reported = await node([harness])
  assert.equal(reported.code, 1)
  assert.match(reported.stderr, /the store is damaged\nTo mend it: cp backup store/)
  writeFileSync(broken, "process.exit(7)")
  const silent = await node([harness])
  assert.equal(silent.code, 1)
  assert.match(silent.stderr, /exit code 7/)
  assert.match(silent.stderr, /To mend it: .* logs/)
  assert.equal((await up({ profile: false })).code, 0, "and the home is not blocked by it")
})

test("a daemon that does not come to serve in time is left to itself, and up ends", async (context) => {
  const { folder, home, node } = await world(context)
  const silent = join(folder, "silent.ts")
  const harness = join(folder, "harness.ts")
  writeFileSync(silent, `console.log("alive", process.pid); setInterval(() => {}, 1000)`)
  const options = JSON.stringify({ engine: "sim", home, profile: false, port: await freePort() })
  const surroundings = JSON.stringify({ daemonMain: silent, startDeadlineMs: 1_500 })
  writeFileSync(
    harness,
    `import { up } from ${JSON.stringify(inRepository("cli/commands/up.ts"))}
import { exitCodeOf } from ${JSON.stringify(inRepository("cli/run.ts"))}
await up(${options}, ${surroundings}).catch((error) => { process.exitCode = exitCodeOf(error) })`,
  )
  const ended = await node([harness])
  const pid = Number(/^alive (\d+)$/m.exec(readFileSync(join(home, "daemon.log"), "utf8"))?.[1])
  process.kill(pid, "SIGKILL") // throws if it is gone
  assert.equal(ended.code, 1, ended.stderr)
  assert.match(ended.stderr, /the deadline passed while waiting for the daemon to serve\nTo mend it: .* logs/)
})

test("status, doctor, env, accounts and images print what their schemas say", async (context) => {
  const { home, port, up, fractus } = await world(context)
  const before = await fractus("status", "--json")
  assert.equal(before.code, 1)
  assertSchema("status", before.stdout)
  assert.equal(JSON.parse(before.stdout).daemon, null)
  await up({ profile: false })
  const commands: [string, string[]][] = [
    ["status", ["status"]],
    ["env", ["env"]],
    ["image-list", ["image", "list"]],
    ["account-create", ["account", "create", "team"]],
    ["account-list", ["account", "list"]],
    ["doctor", ["doctor"]],
  ]
  for (const [schema, argv] of commands) {
    const result = await fractus(...argv, "--json")
    assert.ok(result.code === 0 || schema === "doctor", `${schema}: ${result.stderr}`)
    assertSchema(schema, result.stdout)
    assert.notEqual((await fractus(...argv)).stdout, "")
  }
  const environment = await fractus("env")
  assert.match(environment.stdout, new RegExp(`^export AWS_ENDPOINT_URL=http://127.0.0.1:${port}\n`))
  assert.equal(environment.stderr, "")
  assert.equal(statSync(join(home, "credentials.json")).mode & 0o777, 0o600)
})

test("restart keeps the options and makes a new daemon; down ends it, and again is no error", async (context) => {
  const { home, port, up, restart, fractus } = await world(context)
  await up({ auth: "off", profile: false })
  const old = runningDaemon(home)
  assert.ok(old !== undefined)
  const restarted = await restart()
  assert.equal(restarted.code, 0, restarted.stderr)
  const current = runningDaemon(home)
  assert.notEqual(current?.pid, old.pid)
  assert.equal(await waitUntilGone(old, 0), true)
  const config = JSON.parse(readFileSync(join(home, "config.json"), "utf8"))
  assert.deepEqual([config.auth, config.port], ["off", port])
  const down = await fractus("down", "--json")
  assert.equal(down.code, 0, down.stderr)
  assertSchema("down", down.stdout)
  assert.equal(JSON.parse(down.stdout).result, "stopped")
  assert.equal(runningDaemon(home), undefined)
  assert.equal(JSON.parse((await fractus("down", "--json")).stdout).result, "nothing")
})

test("after kill -9 of the daemon status says so and up starts it again", async (context) => {
  const { home, up, fractus } = await world(context)
  await up({ profile: false })
  const daemon = runningDaemon(home)
  assert.ok(daemon !== undefined)
  process.kill(daemon.pid, "SIGKILL")
  assert.equal(await waitUntilGone(daemon, 10_000), true)
  const status = await fractus("status")
  assert.equal(status.code, 1)
  assert.match(status.stderr, /not running.*\nTo mend it: .* up --engine sim/)
  assert.equal((await up({ profile: false })).code, 0)
})

test("up --foreground ends with its daemon on SIGTERM", async (context) => {
  const { folder, home, port } = await world(context)
  const options = JSON.stringify({ engine: "sim", port, profile: false, foreground: true, home })
  const argv = [inRepository("cli/fixture/up.ts"), "up", options]
  const child = spawn(process.execPath, argv, {
    env: { ...process.env, HOME: folder },
    stdio: ["ignore", "pipe", "inherit"],
  })
  let stdout = ""
  for await (const chunk of child.stdout) {
    stdout += String(chunk)
    if (stdout.includes("run-instances")) break
  }
  const daemon = runningDaemon(home)
  assert.ok(daemon !== undefined)
  const exited = once(child, "exit")
  child.kill("SIGTERM")
  assert.deepEqual(await exited, [0, null])
  assert.equal(await waitUntilGone(daemon, 10_000), true)
})

test("a damaged file of the home is named, not overwritten", async (context) => {
  const { home, up, fractus } = await world(context)
  await up({ profile: false })
  await fractus("down")
  writeFileSync(join(home, "config.json"), '{"home": 1')
  const result = await up({ profile: false })
  assert.equal(result.code, 1)
  assert.match(result.stderr, /config\.json is damaged/)
  assert.equal(readFileSync(join(home, "config.json"), "utf8"), '{"home": 1')
})
