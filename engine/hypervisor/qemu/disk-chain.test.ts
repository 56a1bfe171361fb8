import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, test } from "node:test"
import { diskChain, type Layer } from "./disk-chain.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-chain-"))
after(() => rmSync(home, { recursive: true, force: true }))
const at = (name: string) => path.join(home, name)
const make = (...args: string[]) => execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", ...args], { cwd: home })
const layer = (name: string, format: Layer["format"] = "qcow2"): Layer => ({ path: at(name), format })
const chain = (name: string, backing?: Layer) => diskChain({ id: "v-1", ...layer(name), ...(backing && { backing }) })

test("a disk stands on what its maker says", () => {
  writeFileSync(at("base.raw"), Buffer.alloc(1 << 16))
  make("-F", "raw", "-b", "base.raw", "one")
  make("alone", "1M")
  make("-F", "qcow2", "-b", at("alone"), "two")
  assert.deepEqual(chain("one", layer("base.raw", "raw")), [layer("one"), layer("base.raw", "raw")])
  assert.deepEqual(chain("two", layer("alone")), [layer("two"), layer("alone")])
  assert.deepEqual(chain("alone"), [layer("alone")])
})

test("what its header says instead is not followed", () => {
  make("image", "1M")
  make("other", "1M")
  make("-F", "qcow2", "-b", at("image"), "disk")
  execFileSync("qemu-img", ["rebase", "-u", "-F", "qcow2", "-b", at("other"), at("disk")])
  assert.deepEqual(chain("disk", layer("image")), [layer("disk"), layer("image")])
  assert.throws(() => chain("disk"), /says that it is an overlay/)
  execFileSync("qemu-img", ["rebase", "-u", "-F", "qcow2", "-b", at("other"), at("image")])
  assert.throws(() => chain("disk", layer("image")), /image says that it is an overlay/)
  assert.throws(() => chain("other", layer("image")), /does not say that it is an overlay/)
})

test("what is missing or no image is refused by name", () => {
  assert.throws(() => chain("gone"), /disk v-1: .*gone/)
  writeFileSync(at("text"), "x".repeat(200))
  assert.throws(() => chain("text"), /text is not a qcow2 image/)
  make("whole", "1M")
  make("-F", "qcow2", "-b", at("whole"), "above")
  assert.throws(() => chain("above", layer("nothing")), /nothing/)
  truncateSync(at("whole"), 3)
  assert.throws(() => chain("above", layer("whole")), /whole is not a qcow2 image/)
})
