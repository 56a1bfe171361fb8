/** What real guests need and may be missing: each refused in words, with a command that mends it, and with nothing left behind. */
import assert from "node:assert/strict"
import { execFileSync, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { root } from "../style/tree.ts"
import { type Ended, fractus } from "./cloud.ts"
import { leftOf } from "./orphans.ts"

const port = 5106

function newHome(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "fractus-refusal-"))
  chmodSync(directory, 0o755)
  t.after(async () => {
    if (existsSync(join(directory, "home/config.json"))) await fractus(["down", "--home", join(directory, "home")])
    rmSync(directory, { recursive: true, force: true })
  })
  return join(directory, "home")
}

const upOf = (home: string, at = port) => [
  "up",
  "--yes",
  "--no-profile",
  "--images",
  "first",
  "--home",
  home,
  "--port",
  String(at),
]

/** Exit code, words, and a command that mends it; nothing of the home on the machine. */
function refused({ status, output }: Ended, home: string, code: number, words: RegExp): void {
  assert.equal(status, code, output)
  assert.match(output, words)
  assert.match(output, /To mend it: \S+/)
  assert.doesNotMatch(output, /\n\s+at .*\.ts:\d+/, "a stack trace is no explanation")
  const slot = existsSync(join(home, "slot"))
    ? execFileSync("cat", [join(home, "slot")], { encoding: "utf8" }).trim()
    : "none"
  if (slot !== "none") assert.deepEqual(leftOf({ prefix: `fr${slot}`, run: `/run/fractus/${slot}`, home }), [])
}

/** `./fractus` as nobody, out of a bind of the repository beside the home: its own folder may be root's alone. */
function asNobody(home: string, argv: readonly string[]) {
  const clone = join(home, "../clone")
  mkdirSync(clone)
  const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
  const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
  const words = ["--mount", "sh", "-c", script, "sh", root, clone, ...user, join(clone, "fractus"), ...argv]
  return spawnSync("unshare", words, { encoding: "utf8", env: { ...process.env, HOME: "/nonexistent" } })
}

test("without root: exit 3, and no home is made", (t) => {
  const home = newHome(t)
  const done = asNobody(home, upOf(home))
  refused({ status: done.status ?? -1, output: done.stdout + done.stderr }, home, 3, /need root/)
  assert.match(done.stderr, /sudo .*fractus up/)
  assert.equal(existsSync(home), false)
})

test("a home of root's, used by another: exit 3, and nothing in it changes", (t) => {
  const home = newHome(t)
  mkdirSync(home, { mode: 0o700 })
  writeFileSync(join(home, "config.json"), "{}", { mode: 0o600 })
  const done = asNobody(home, [...upOf(home), "--engine", "sim"])
  assert.equal(done.status, 3, done.stdout + done.stderr)
  assert.match(done.stderr, /belongs to another user|EACCES/)
  assert.deepEqual(readdirSync(home), ["config.json"])
})

test("a taken port: exit 4 names who has it, and nothing is started", async (t) => {
  const home = newHome(t)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === "object" && address)
  refused(
    await fractus(upOf(home, address.port)),
    home,
    4,
    new RegExp(`port ${address.port} is in use by pid ${process.pid} `),
  )
})

test("a namespace of somebody else that has our first name stays, and we take another", async (t) => {
  const home = newHome(t)
  const taken = Array.from({ length: 31 }, (_, slot) => slot).find(
    (slot) => !existsSync(`/run/fractus/slots/${slot}`) && !existsSync(`/run/netns/fr${slot}-infra`),
  )
  const name = `fr${taken}-infra`
  execFileSync("ip", ["netns", "add", name])
  t.after(() => execFileSync("ip", ["netns", "del", name]))
  const inside = () => execFileSync("ip", ["-n", name, "-o", "addr"], { encoding: "utf8" })
  const before = inside()
  const { status, output } = await fractus(upOf(home))
  assert.equal(status, 0, output)
  const slot = execFileSync("cat", [join(home, "slot")], { encoding: "utf8" }).trim()
  assert.notEqual(slot, String(taken))
  assert.equal((await fractus(["down", "--home", home])).status, 0)
  assert.equal(inside(), before)
  assert.deepEqual(leftOf({ prefix: `fr${slot}`, run: `/run/fractus/${slot}`, home }), [])
})

/** Runs `up` in a mount namespace of its own after `prepare`, a shell line: what is missing there is missing for this test alone. */
function upWithout(home: string, prepare: string): Ended {
  const words = [
    "--mount",
    "--propagation",
    "private",
    "--",
    "sh",
    "-ec",
    `${prepare}\nexec "$@"`,
    "sh",
    join(root, "fractus"),
    ...upOf(home),
  ]
  const done = spawnSync("unshare", words, { encoding: "utf8", timeout: 120_000 })
  return { status: done.status ?? -1, output: done.stdout + done.stderr }
}

test("without /dev/net/tun: exit 3 and the command that brings it", (t) => {
  const home = newHome(t)
  const empty = mkdtempSync(join(tmpdir(), "fractus-no-tun-"))
  t.after(() => rmSync(empty, { recursive: true, force: true }))
  refused(upWithout(home, `mount --bind '${empty}' /dev/net`), home, 3, /\/dev\/net\/tun/)
})

test("a QEMU that does not run: exit 3 names it", (t) => {
  const home = newHome(t)
  refused(upWithout(home, "mount --bind /bin/false /usr/bin/qemu-system-x86_64"), home, 3, /qemu/i)
})

test("a home with little room: exit 3, before anything is done", (t) => {
  const home = newHome(t)
  mkdirSync(home)
  const done = upWithout(home, `mount -t tmpfs -o size=16m tmpfs '${home}'`)
  refused(done, home, 3, /0\.0 GB free; real guests need at least 5 GB/)
  assert.deepEqual(readdirSync(home), [])
})
