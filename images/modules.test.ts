import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { zstdCompressSync } from "node:zlib"
import { findKernel, installModules } from "./modules.ts"
import type { Kernel } from "./modules.ts"

const moduleText = (depends: string, alias: string): Buffer =>
  Buffer.from(`code that says depends=nothing\0license=GPL\0depends=${depends}\0alias=${alias}\0`, "latin1")

/** A kernel with plain, zstd and xz modules: top needs mid-dle and built, mid-dle needs base. */
async function fakeKernel(context: TestContext): Promise<{ folder: string; kernel: Kernel }> {
  const folder = await mkdtemp(join(tmpdir(), "fractus-modules-"))
  context.after(() => rm(folder, { recursive: true, force: true }))
  const home = join(folder, "usr/lib/modules/6.0-test")
  await mkdir(join(home, "kernel/fs"), { recursive: true })
  await mkdir(join(folder, "boot"))
  await writeFile(join(folder, "boot/vmlinuz-6.0-test"), "")
  await writeFile(join(home, "modules.builtin"), "kernel/lib/built-in.ko\n")
  await writeFile(join(home, "kernel/fs/top.ko.zst"), zstdCompressSync(moduleText("mid_dle,built_in", "fs-top")))
  await writeFile(join(home, "kernel/mid-dle.ko"), moduleText("base", "m"))
  await writeFile(join(home, "kernel/base.ko"), moduleText("", "b"))
  execFileSync("xz", [join(home, "kernel/base.ko")])
  return { folder, kernel: await findKernel(folder) }
}

test("modules come after what they depend on, packed or not, once each; built-in ones do not come", async (context) => {
  const { kernel } = await fakeKernel(context)
  const modules = await kernel.modules(["top", "mid-dle", "built-in", "absent"], ["absent"])
  assert.deepEqual(
    modules.map(({ name }) => name),
    ["base", "mid_dle", "top"],
  )
  assert.deepEqual(
    modules.map(({ path }) => path),
    ["kernel/base.ko", "kernel/mid-dle.ko", "kernel/fs/top.ko"],
  )
})

test("a module that the kernel does not have is named", async (context) => {
  const { kernel } = await fakeKernel(context)
  await assert.rejects(kernel.modules(["top", "absent"], []), /no module absent/)
})

test("installed modules are unpacked and indexed for modprobe", async (context) => {
  const { folder, kernel } = await fakeKernel(context)
  const target = join(folder, "target")
  await installModules(await kernel.modules(["top"], []), target)
  assert.deepEqual(await readFile(join(target, "kernel/fs/top.ko")), moduleText("mid_dle,built_in", "fs-top"))
  assert.deepEqual(await readFile(join(target, "kernel/base.ko")), moduleText("", "b"))
  const index = await readFile(join(target, "modules.dep"), "utf8")
  assert.equal(index, "kernel/base.ko:\nkernel/mid-dle.ko: kernel/base.ko\nkernel/fs/top.ko: kernel/mid-dle.ko\n")
  assert.match(await readFile(join(target, "modules.alias"), "utf8"), /^alias fs-top top$/m)
})

test("two kernels, or none, are refused", async (context) => {
  const { folder } = await fakeKernel(context)
  await writeFile(join(folder, "boot/vmlinuz-6.1-test"), "")
  await assert.rejects(findKernel(folder), /no kernel, or several/)
  await rm(join(folder, "boot"), { recursive: true })
  await mkdir(join(folder, "boot"))
  await assert.rejects(findKernel(folder), /no kernel, or several/)
})
