/** A template whose files are another's, whose image is another one now, or for which the disk has no room. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, utimesSync } from "node:fs"
import path from "node:path"
import { after, before, test } from "node:test"
import type { MachineSpec } from "../../types.ts"
import { endAll, prepareTraced, templateUid, type WarmEngine, warmLab } from "./lab.ts"

// The disk is a copy of our own: other tests have the image's.
const lab = await warmLab("hvt", () => {})
after(() => lab.cleanUp())
const kept = path.join(lab.home, "kept")
const copy = (from: string, to: string) => execFileSync("cp", ["-a", "--sparse=always", "-T", from, to])

async function withEngine(work: (engine: WarmEngine) => Promise<void>): Promise<void> {
  const engine = await lab.open()
  try {
    await work(engine)
  } finally {
    await endAll(engine)
    await engine.close()
  }
}
const other = (spec: MachineSpec): MachineSpec => ({ ...spec, product: "another" })
let [one, two] = ["", ""]

before(() =>
  withEngine(async ({ templates }) => {
    one = await templates.make(lab.spec(1, "i-one"), templateUid)
    two = await templates.make(other(lab.spec(2, "i-two")), templateUid)
    assert.notEqual(one, two)
    copy(lab.templates, kept)
  }),
)

test(
  "with the files of another template a machine boots, and the template is given up",
  { timeout: 200_000 },
  async () => {
    const folder = path.join(lab.templates, one)
    const swaps: readonly (readonly [RegExp, () => void])[] = [
      [
        /ram\.bin is not what was written/,
        () => copyFileSync(path.join(kept, two, "ram.bin"), path.join(folder, "ram.bin")),
      ],
      [/state\.bin is/, () => copyFileSync(path.join(kept, two, "state.bin"), path.join(folder, "state.bin"))],
      [/template\.json is of another/, () => [rmSync(folder, { recursive: true }), copy(path.join(kept, two), folder)]],
    ]
    for (const [reason, swap] of swaps) {
      copy(path.join(kept, one), folder)
      swap()
      await withEngine(async (engine) => {
        assert.match(await prepareTraced(engine, lab.spec(1, "i-swapped")), new RegExp(`boots: .*${reason.source}`))
        assert.deepEqual(readdirSync(lab.templates), [two])
        assert.match(await prepareTraced(engine, other(lab.spec(2, "i-other"))), /^clones/)
      })
    }
  },
)

test("a template that is older than its image is not used, and goes", { timeout: 200_000 }, async () => {
  copy(path.join(kept, one), path.join(lab.templates, one))
  const image = path.join(lab.home, "changed.qcow2")
  await withEngine(async (engine) => {
    utimesSync(image, new Date(), new Date())
    assert.equal(
      await prepareTraced(engine, lab.spec(1, "i-later")),
      "boots: there is no warm template of its kind yet",
    )
  })
  await withEngine(async () => assert.deepEqual(readdirSync(lab.templates), []))
})

test(
  "where the disk is full no template is made and nothing is left of it; with room it is",
  { timeout: 300_000 },
  async () => {
    rmSync(lab.templates, { recursive: true, force: true })
    mkdirSync(lab.templates)
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=40m", "none", lab.templates])
    try {
      await withEngine(async (engine) => {
        await assert.rejects(engine.templates.make(lab.spec(1, "i-full"), templateUid))
        assert.deepEqual(readdirSync(lab.templates), [])
        assert.deepEqual(readdirSync(path.join(lab.home, "run", "template")), [])
        assert.ok(!existsSync(`/run/netns/${lab.prefix}-template`))
        assert.match(await prepareTraced(engine, lab.spec(1, "i-full")), /^boots: the last template could not be used/)
      })
    } finally {
      execFileSync("umount", [lab.templates])
    }
    await withEngine(async (engine) => {
      await engine.templates.make(lab.spec(1, "i-full"), templateUid)
      assert.match(await prepareTraced(engine, lab.spec(1, "i-full")), /^clones/)
    })
  },
)
