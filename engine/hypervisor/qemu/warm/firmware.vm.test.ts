/** Templates of images that start by firmware and write while they start: their disk is a part of them. Played by the micro image. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { after, before, test } from "node:test"
import { NotPersonalised } from "../../types.ts"
import { endAll, prepareTraced, templateUid, type WarmEngine, warmLab } from "./lab.ts"

const script = "/usr/lib/fractus/template"
const debugfs = (disk: string, commands: readonly string[]) =>
  execFileSync("debugfs", ["-w", "-f", "-", `${disk}?offset=1048576`], { input: commands.join("\n"), encoding: "utf8" })

/** Its template makes the root writable, and leaves a file there. */
const lab = await warmLab("hvf", (disk) => {
  const changed = path.join(path.dirname(disk), "template")
  execFileSync("debugfs", ["-R", `dump ${script} ${changed}`, `${disk}?offset=1048576`], { stdio: "pipe" })
  const text = readFileSync(changed, "utf8")
  writeFileSync(changed, text.replace(/^sync$/m, "mount -o remount,rw /\necho template >/left\nsync"))
  debugfs(disk, [`rm ${script}`, `write ${changed} ${script}`, `sif ${script} mode 0100755`])
})
after(() => lab.cleanUp())
const kept = path.join(lab.home, "kept")
const copy = (from: string, to: string) => execFileSync("cp", ["-a", "--sparse=always", "-T", from, to])
const machine = (number: number, id: string) =>
  ({ ...lab.spec(number, id), boot: { kind: "firmware", agent: true } }) as const
let key = ""

async function withEngine(agentMs: number, work: (engine: WarmEngine) => Promise<void>): Promise<void> {
  if (key !== "" && !existsSync(path.join(lab.templates, key)))
    copy(path.join(kept, key), path.join(lab.templates, key))
  const engine = await lab.open(agentMs)
  try {
    await work(engine)
  } finally {
    await endAll(engine)
    await engine.close()
  }
}

before(() =>
  withEngine(60_000, async ({ templates }) => {
    const spec = machine(1, "i-like")
    assert.match((await templates.missing({ ...spec, boot: { kind: "firmware" } })) ?? "", /without an agent/)
    const encrypted = spec.disks.map((disk) => ({ ...disk, secret: () => "secret" }))
    assert.match((await templates.missing({ ...spec, disks: encrypted })) ?? "", /encrypted/)
    key = await templates.make(spec, templateUid)
    copy(lab.templates, kept)
  }),
)

test("a clone begins with its template's disk, which nobody else writes to", () =>
  withEngine(60_000, async (engine) => {
    const [first, second] = [machine(1, "i-1"), machine(2, "i-2")]
    assert.match(await prepareTraced(engine, first), /^clones/)
    await engine.resume("i-1")
    assert.equal(await lab.ssh(1, "cat /left; echo mine | sudo tee /mine; sync"), "template\nmine\n")
    assert.match(await prepareTraced(engine, second), /^clones/)
    await engine.resume("i-2")
    assert.equal(
      await lab.ssh(2, "cat /left; ls /mine 2>&1 || true"),
      "template\nls: /mine: No such file or directory\n",
    )
    const [before, now] = [kept, lab.templates].map((each) => readFileSync(path.join(each, key, "disk.qcow2")))
    assert.ok(before && now?.equals(before), "the template's disk has changed")
    await endAll(engine)
    execFileSync("qemu-img", ["check", "-q", first.disks[0]?.path ?? ""])
    assert.equal(await prepareTraced(engine, first), "boots: its disk has been written to")
  }))

test("the disk of a clone that does not start is a new one again", () =>
  withEngine(60_000, async (engine) => {
    const spec = machine(3, "i-3")
    const disk = () => readFileSync(spec.disks[0]?.path ?? "")
    const fresh = disk()
    // Neither does what boots instead.
    await assert.rejects(engine.prepare({ ...spec, nics: spec.nics.map((nic) => ({ ...nic, device: "missing" })) }))
    assert.ok(fresh.equals(disk()))
  }))

test("a clone that became nobody says so, and its template is given up", () =>
  withEngine(1, async (engine) => {
    assert.match(await prepareTraced(engine, machine(3, "i-3")), /^clones/)
    await assert.rejects(engine.resume("i-3"), NotPersonalised)
    assert.equal((await engine.inspect("i-3")).cause, "nameless")
    assert.deepEqual(readdirSync(lab.templates), [])
  }))

test("a template whose disk was changed is refused", () =>
  withEngine(60_000, async (engine) => {
    const file = path.join(lab.templates, key, "disk.qcow2")
    const disk = readFileSync(file)
    disk[disk.length - 1]! ^= 1
    writeFileSync(file, disk)
    assert.match(await prepareTraced(engine, machine(4, "i-4")), /disk\.qcow2 is not what was written/)
    assert.deepEqual(readdirSync(lab.templates), [])
  }))
