import assert from "node:assert/strict"
import { spawn, type ChildProcess } from "node:child_process"
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { test, type TestContext } from "node:test"
import { claimSlot, slotCount } from "./slots.ts"

async function machine(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), "fractus-slots-"))
  const children: ChildProcess[] = []
  t.after(async () => {
    for (const child of children) child.kill("SIGKILL")
    await rm(root, { recursive: true, force: true })
  })
  const directory = join(root, "slots")
  const home = async (name: string) => {
    await mkdir(join(root, name), { recursive: true })
    return join(root, name)
  }
  /** Another process that claims and then lives until it is killed. */
  const other = async (name: string): Promise<{ said: string; end(): Promise<void> }> => {
    const code = `import { claimSlot } from "#host/slots.ts"
      const slot = await claimSlot({ home: process.argv[1], directory: process.argv[2], namespaces: async () => [] }).catch((e) => e)
      console.log(slot.number ?? slot.message)
      setInterval(() => {}, 1e6)`
    const child = spawn(process.execPath, ["--input-type=module", "-e", code, await home(name), directory], {
      cwd: join(import.meta.dirname, ".."),
      stdio: ["ignore", "pipe", "inherit"],
    })
    children.push(child)
    const said = await new Promise<string>((resolve) => createInterface(child.stdout).once("line", resolve))
    return {
      said,
      end: () =>
        new Promise((resolve) => {
          child.once("exit", () => resolve())
          child.kill("SIGKILL")
        }),
    }
  }
  const claim = async (name: string, spaces: readonly string[] = []) =>
    claimSlot({ home: await home(name), directory, namespaces: async () => spaces })
  return { directory, claim, other }
}

test("a slot fixes prefix, uids and pool", async (t) => {
  const { claim } = await machine(t)
  await claim("first")
  const second = await claim("second")
  assert.equal(second.prefix, "fr1")
  assert.equal(second.uidBase, 2_010_000)
  assert.equal(second.publicCidr, "198.18.16.0/20")
})

test("twenty processes at once get twenty slots", async (t) => {
  const { other, directory } = await machine(t)
  const got = await Promise.all(Array.from({ length: 20 }, (_, index) => other(`home-${index}`)))
  const numbers = got.map(({ said }) => Number(said)).toSorted((a, b) => a - b)
  assert.deepEqual(
    numbers,
    Array.from({ length: 20 }, (_, index) => index),
  )
  assert.equal((await readdir(directory)).filter((name) => /^\d+$/.test(name)).length, 20)
})

test("a home gets its slot back after a crash, and only one process at a time", async (t) => {
  const { claim, other } = await machine(t)
  assert.equal((await claim("zero")).number, 0)
  const holder = await other("one")
  assert.equal(holder.said, "1")
  assert.match((await other("one")).said, /in use by process \d+/)
  await assert.rejects(claim("one"), /in use by process/)
  await holder.end()
  assert.equal((await claim("two", ["fr1-infra"])).number, 2, "its guests still live: not taken over")
  assert.equal((await claim("one")).number, 1)
})

test("a slot is taken over only when nothing else is free, its holder dead and its guests gone", async (t) => {
  const { claim, other } = await machine(t)
  const dead = await other("dead")
  await dead.end()
  for (let index = 1; index < slotCount; index++) await claim(`home-${index}`)
  await assert.rejects(claim("late", ["fr0-n1"]), /taken/)
  assert.equal((await claim("late")).number, 0)
})

test("a home remembers its slot when the machine forgot all", async (t) => {
  const { claim, directory } = await machine(t)
  await claim("first")
  await claim("second")
  await rm(directory, { recursive: true })
  assert.equal((await claim("second", ["fr1-infra"])).number, 1)
  const first = await claim("first")
  assert.equal(first.number, 0)
  await first.release()
  assert.equal((await claim("third")).number, 0)
})
