import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, test } from "node:test"
import { diskChain } from "./disk-chain.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-chain-"))
after(() => rmSync(home, { recursive: true, force: true }))
const at = (name: string) => path.join(home, name)
const make = (...args: string[]) => execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", ...args], { cwd: home })

test("a chain is read as qemu-img made it, relative names and raw ends too", () => {
  writeFileSync(at("base.raw"), Buffer.alloc(1 << 16))
  make("-F", "raw", "-b", "base.raw", "one")
  make("-F", "qcow2", "-b", at("one"), "two")
  make("alone", "1M")
  assert.deepEqual(diskChain({ id: "v", path: at("two"), format: "qcow2" }), [
    { path: at("two"), format: "qcow2" },
    { path: at("one"), format: "qcow2" },
    { path: at("base.raw"), format: "raw" },
  ])
  assert.equal(diskChain({ id: "v", path: at("alone"), format: "qcow2" }).length, 1)
})

test("what is missing, no image, endless or a trap is refused by name", () => {
  const chain = (name: string) => () => diskChain({ id: "v-1", path: at(name), format: "qcow2" })
  assert.throws(chain("gone"), /disk v-1: .*gone/)
  writeFileSync(at("text"), "x".repeat(200))
  assert.throws(chain("text"), /text is not a qcow2 image/)
  make("-u", "-F", "qcow2", "-b", "loop", "pool", "1M")
  make("-u", "-F", "qcow2", "-b", "pool", "loop", "1M")
  assert.throws(chain("loop"), /more than 16 layers/)
  make("-u", "-F", "raw", "-b", "nbd://192.0.2.1/x", "remote", "1M")
  assert.throws(chain("remote"), /no file/)
  make("alone", "1M")
  const fd = openSync(at("alone"), "r+")
  writeSync(fd, Buffer.from("ffffffffffffffff000003ff", "hex"), 0, 12, 8)
  closeSync(fd)
  assert.throws(chain("alone"), /damaged header/)
  truncateSync(at("alone"), 20)
  assert.throws(chain("alone"), /not a qcow2/)
})
