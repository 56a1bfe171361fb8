/** Homes and ports on which a daemon must not start: it says why in daemon-error.json and touches nothing. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { test, type TestContext } from "node:test"
import { homeFiles } from "#daemon/config.ts"
import type { Failure } from "#daemon/home-records.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { createClient } from "./client.ts"
import { at, textAt } from "./xml.ts"

/** A home in which a daemon has once served and ended. */
async function usedHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "fractus-home-"))
  t.after(() => rm(home, { recursive: true, force: true }))
  const daemon = await startSimDaemon({ home, auth: "off" })
  try {
    const client = createClient(daemon.endpoint)
    await client.ok("CreateSecurityGroup", { GroupName: "kept", GroupDescription: "x" }).finally(() => client.close())
  } finally {
    await daemon.stop()
  }
  return home
}

const storeOf = (home: string) => join(homeFiles(home).store, "store.sqlite")

async function failureOf(home: string, port = 0): Promise<Failure> {
  await assert.rejects(
    async () => (await startSimDaemon({ home, auth: "off", port })).stop(),
    /the daemon ended with 1/,
  )
  return JSON.parse(await readFile(homeFiles(home).failure, "utf8")) as Failure
}

/** Name -> hash of everything in the store's folder but SQLite's locks. Empty logs count as none: a reader makes one. */
async function contents(home: string): Promise<ReadonlyMap<string, string>> {
  const { store } = homeFiles(home)
  const names = (await readdir(store)).filter((name) => !/\.lock$|-shm$/.test(name)).toSorted()
  const files = await Promise.all(names.map(async (name) => [name, await readFile(join(store, name))] as const))
  return new Map(
    files
      .filter(([name, bytes]) => !name.endsWith("-wal") || bytes.length > 0)
      .map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")] as const),
  )
}

async function refuses(home: string, message: RegExp): Promise<void> {
  const before = await contents(home)
  const failure = await failureOf(home)
  assert.equal(failure.code, "store")
  assert.match(failure.message, message)
  assert.notEqual(failure.mend, "")
  assert.deepEqual(await contents(home), before)
}

test("a damaged store is left as it is, whichever way it is damaged", async (t) => {
  const home = await usedHome(t)
  const path = storeOf(home)
  const good = await readFile(path)
  const middle = Buffer.from(good)
  middle.fill(0xa5, 4096, 8192)
  const damages = [middle, good.subarray(0, good.length / 2), Buffer.from("no database at all"), Buffer.alloc(0)]
  for (const damaged of damages) {
    await writeFile(path, damaged)
    await refuses(home, /store\.sqlite is (damaged|empty|not a store of Fractus).*left as it is/s)
  }
  await writeFile(path, good)
  const daemon = await startSimDaemon({ home, auth: "off" })
  t.after(() => daemon.stop())
  const client = createClient(daemon.endpoint)
  t.after(() => client.close())
  await client.ok("DescribeSecurityGroups", { "GroupName.1": "kept" })
})

test("a store of a newer release is refused", async (t) => {
  const home = await usedHome(t)
  const db = new DatabaseSync(storeOf(home))
  db.exec("pragma user_version = 99; pragma journal_mode = delete")
  db.close()
  await refuses(home, /newer release/)
})

test("a second daemon on a home is refused, and the first goes on", async (t) => {
  const first = await startSimDaemon({ auth: "off" })
  t.after(() => first.stop())
  const record = await readFile(homeFiles(first.home).record, "utf8")
  const failure = await failureOf(first.home)
  assert.equal(failure.code, "home")
  assert.equal(await readFile(homeFiles(first.home).record, "utf8"), record)
  const client = createClient(first.endpoint)
  t.after(() => client.close())
  const vpcs = at(await client.ok("DescribeVpcs"), "vpcSet", "item")
  assert.equal(textAt(vpcs[0] ?? assert.fail("no vpc"), "isDefault"), "true")
})

test("a taken port is said to be taken", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "fractus-home-"))
  t.after(() => rm(home, { recursive: true, force: true }))
  const holder = createServer().listen(0, "127.0.0.1")
  t.after(() => holder.close())
  await new Promise((resolve) => holder.once("listening", resolve))
  const address = holder.address()
  assert.ok(typeof address === "object" && address !== null)
  const failure = await failureOf(home, address.port)
  assert.equal(failure.code, "port")
  assert.match(failure.mend, /--port/)
})
