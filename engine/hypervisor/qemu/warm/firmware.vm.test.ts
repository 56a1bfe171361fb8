/** Templates of images that start by firmware and write while they start: their disk is a part of them. Played by the micro image. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { after, test } from "node:test"
import { NotPersonalised } from "../../types.ts"
import { endAll, prepareTraced, warmLab } from "./lab.ts"

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
const boot = { kind: "firmware", agent: true } as const

test("a clone begins with its template's disk, which nobody else writes to", async () => {
  const engine = await lab.open(60_000)
  try {
    const first = { ...lab.spec(1, "i-1"), boot }
    assert.match((await engine.templates.missing({ ...first, boot: { kind: "firmware" } })) ?? "", /without an agent/)
    await engine.templates.make(first, 2_099_990)
    const [key = ""] = readdirSync(lab.templates)
    const disk = readFileSync(path.join(lab.templates, key, "disk.qcow2"))
    assert.match(await prepareTraced(engine, first), /^clones/)
    await engine.resume("i-1")
    assert.equal(await lab.ssh(1, "cat /left; echo mine | sudo tee /mine; sync"), "template\nmine\n")
    const second = { ...lab.spec(2, "i-2"), boot }
    assert.match(await prepareTraced(engine, second), /^clones/)
    await engine.resume("i-2")
    assert.equal(
      await lab.ssh(2, "cat /left; ls /mine 2>&1 || true"),
      "template\nls: /mine: No such file or directory\n",
    )
    assert.ok(disk.equals(readFileSync(path.join(lab.templates, key, "disk.qcow2"))), "the template's disk has changed")
    await endAll(engine)
    execFileSync("qemu-img", ["check", "-q", first.disks[0]?.path ?? ""])
    assert.equal(await prepareTraced(engine, first), "boots: its disk has been written to")
  } finally {
    await endAll(engine)
    await engine.close()
  }
})

test("the disk of a clone that became nobody is a new one again, and a template whose disk was changed is refused", async () => {
  const patient = await lab.open(60_000)
  await patient.templates.make({ ...lab.spec(3, "i-3"), boot }, 2_099_990).finally(() => patient.close())
  const hasty = await lab.open(1)
  try {
    const spec = { ...lab.spec(3, "i-3"), boot }
    const [file = ""] = spec.disks.map(({ path: each }) => each)
    const fresh = readFileSync(file)
    assert.match(await prepareTraced(hasty, spec), /^clones/)
    assert.ok(!fresh.equals(readFileSync(file)))
    await assert.rejects(hasty.resume("i-3"), NotPersonalised)
    assert.ok(fresh.equals(readFileSync(file)), "its disk is not as before")
    assert.deepEqual(readdirSync(lab.templates), [], "the template is given up")
  } finally {
    await endAll(hasty)
    await hasty.close()
  }
  const engine = await lab.open(60_000)
  try {
    const spec = { ...lab.spec(4, "i-4"), boot }
    await engine.templates.make(spec, 2_099_990)
    await engine.close()
    const file = path.join(lab.templates, readdirSync(lab.templates)[0] ?? "", "disk.qcow2")
    const disk = readFileSync(file)
    disk[disk.length - 1]! ^= 1
    writeFileSync(file, disk)
    const next = await lab.open(60_000)
    try {
      assert.match(await prepareTraced(next, spec), /disk\.qcow2 is not what was written/)
      assert.ok(!existsSync(file))
    } finally {
      await endAll(next)
      await next.close()
    }
  } finally {
    await endAll(engine).catch(() => {})
    await engine.close()
  }
})
