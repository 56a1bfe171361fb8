import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"
import { allIds, event, resource } from "../conformance/subject.ts"
import { StoreUnusableError, type Store } from "../types.ts"
import { openSqliteStore } from "./open.ts"

const bytesOfKilo = "x".repeat(1000)

function inFolder(name: string, body: (directory: string, path: string) => Promise<void>): void {
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), "fractus-store-"))
    try {
      await body(directory, join(directory, "store.sqlite"))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
}

/** Opens, uses and closes a store, whatever happens. */
async function using(directory: string, body: (store: Store) => Promise<void>, more = {}): Promise<void> {
  const store = await openSqliteStore({ directory, ...more })
  try {
    await body(store)
  } finally {
    await store.close()
  }
}

async function fill(directory: string, count = 50): Promise<void> {
  const put = Array.from({ length: count }, (_, at) =>
    resource(`i-${at}`, { record: bytesOfKilo, facets: { at: [`${at}`] } }),
  )
  await using(directory, async (store) => {
    await store.commit({ put, event: [event] })
  })
}

const unusable = (reason: StoreUnusableError["reason"]) => (error: unknown) => {
  assert.ok(error instanceof StoreUnusableError, String(error))
  assert.equal(error.reason, reason, error.message)
  assert.match(error.message, /store|fractus/)
  return true
}

/** The store cannot be opened, for this reason, and its file is left as it is. */
async function refused(directory: string, path: string, reason: StoreUnusableError["reason"]): Promise<void> {
  const before = readFileSync(path)
  await assert.rejects(openSqliteStore({ directory }), unusable(reason))
  await assert.rejects(openSqliteStore({ directory }), unusable(reason))
  assert.ok(readFileSync(path).equals(before), "the file was changed")
}

inFolder("makes files that only their owner reads", async (directory) => {
  await using(directory, async (store) => {
    await store.commit({ put: [resource("i-1")] })
    assert.deepEqual(readdirSync(directory).toSorted(), [
      "store.lock",
      "store.sqlite",
      "store.sqlite-shm",
      "store.sqlite-wal",
    ])
    for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
  })
  assert.deepEqual(readdirSync(directory).toSorted(), ["store.lock", "store.sqlite"])
})

inFolder("refuses what is not a store, and leaves it", async (directory, path) => {
  for (const content of [Buffer.alloc(0), Buffer.from("hello"), Buffer.alloc(100_000, 7)]) {
    writeFileSync(path, content)
    await refused(directory, path, "corrupt")
  }
  rmSync(path)
  const foreign = new DatabaseSync(path)
  foreign.exec("create table mine (a); insert into mine values (1)")
  foreign.close()
  await refused(directory, path, "corrupt")
})

inFolder("refuses a damaged store, and leaves it", async (directory, path) => {
  await fill(directory)
  const good = readFileSync(path)
  const damages: readonly ((bytes: Buffer) => Buffer)[] = [
    (bytes) => bytes.subarray(0, bytes.length - 9000),
    (bytes) => bytes.subarray(0, 1000),
    (bytes) => Buffer.concat([Buffer.alloc(16), bytes.subarray(16)]),
    (bytes) => Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(bytes.length - 8192, 0xa5)]),
  ]
  for (const damage of damages) {
    writeFileSync(path, damage(good))
    await refused(directory, path, "corrupt")
  }
  writeFileSync(path, good)
  await using(directory, async (store) => assert.equal((await allIds(store)).length, 50))
})

inFolder("says that a large store is damaged when it comes upon it", async (directory, path) => {
  await fill(directory, 6000)
  const bytes = readFileSync(path)
  assert.ok(bytes.length > 5_000_000)
  bytes.fill(0xa5, 100 * 4096)
  writeFileSync(path, bytes)
  await using(directory, async (store) => {
    await assert.rejects(allIds(store, { limit: 6000 }), unusable("corrupt"))
    await assert.rejects(store.commit({ put: [resource("i-5999", { facets: { at: ["new"] } })] }), unusable("corrupt"))
  })
  truncateSync(path, 5_000_000)
  await refused(directory, path, "corrupt")
})

inFolder("refuses a log without its store", async (directory, path) => {
  await fill(directory)
  renameSync(path, `${path}-wal`)
  await assert.rejects(openSqliteStore({ directory }), unusable("corrupt"))
  assert.ok(!existsSync(path))
})

inFolder("refuses the store of a newer release, and leaves it", async (directory, path) => {
  await fill(directory)
  const db = new DatabaseSync(path)
  db.exec("pragma user_version = 1000")
  db.close()
  await refused(directory, path, "newer")
})

inFolder("says what stands in the way of a folder", async (directory) => {
  writeFileSync(join(directory, "file"), "")
  await assert.rejects(openSqliteStore({ directory: join(directory, "file", "home") }), unusable("io"))
})

inFolder("is held by one process until that is killed", async (directory) => {
  const holder = `
    import { openSqliteStore } from "#store/sqlite/open.ts"
    await openSqliteStore({ directory: ${JSON.stringify(directory)} })
    console.log("open")
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ["--input-type=module", "-e", holder], {
    cwd: join(import.meta.dirname, "../.."),
    stdio: ["ignore", "pipe", "inherit"],
  })
  try {
    await once(child.stdout, "data")
    await assert.rejects(openSqliteStore({ directory }), unusable("locked"))
  } finally {
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    await ended
  }
  await using(directory, async (store) => {
    await assert.rejects(openSqliteStore({ directory }), unusable("locked"))
    assert.deepEqual(await allIds(store), [])
  })
})

inFolder("rejects what a full disk cannot take, and works on", async (directory) => {
  const more = { maxPages: 120 }
  await using(
    directory,
    async (store) => {
      await store.commit({ put: [resource("first")] })
      const large = store.commit({ put: [resource("large", { record: "x".repeat(1_000_000) })], event: [event] })
      const small = store.commit({ put: [resource("small")], event: [event] })
      await assert.rejects(large, unusable("full"))
      await small
      assert.deepEqual(await allIds(store), ["first", "small"])
      assert.deepEqual(
        (await store.changes(0, 10)).map(({ seq }) => seq),
        [1],
      )
      await store.commit({ delete: ["first"] })
    },
    more,
  )
  await using(directory, async (store) => {
    await store.commit({ put: [resource("large", { record: "x".repeat(1_000_000) })] })
    assert.deepEqual(await allIds(store), ["small", "large"])
  })
})

inFolder("upgrades the records of an older release on read", async (directory) => {
  await using(directory, async (store) => {
    await store.commit({
      put: [
        resource("i-1", { schema: 1, record: { size: 2 } }),
        resource("i-2", { schema: 2, record: { sizeBytes: 4 } }),
        resource("v-1", { kind: "volume", record: { size: 2 } }),
      ],
    })
  })
  const upgrades = {
    instance: (record: unknown, schema: number) => {
      assert.ok(typeof record === "object" && record !== null)
      if (schema >= 2) return { record: { ...record }, schema }
      return { record: { sizeBytes: Number("size" in record ? record.size : 0) * 1024 }, schema: 2 }
    },
  }
  await using(
    directory,
    async (store) => {
      const many = await store.getMany(["i-1", "i-2", "v-1"])
      assert.deepEqual(
        [...many.values()].map(({ record, schema }) => [record, schema]),
        [
          [{ sizeBytes: 2048 }, 2],
          [{ sizeBytes: 4 }, 2],
          [{ size: 2 }, 1],
        ],
      )
      const { items } = await store.query({ kind: "instance", accounts: [], regions: [], limit: 1 })
      assert.deepEqual(items[0]?.record, { sizeBytes: 2048 })
    },
    { upgrades },
  )
})

inFolder("keeps the newest events", async (directory) => {
  await using(
    directory,
    async (store) => {
      for (let round = 0; round < 10; round += 1)
        await store.commit({ event: Array.from({ length: 500 }, () => event) })
      const seqs = (await store.changes(0, 10_000)).map(({ seq }) => seq)
      assert.equal(seqs.at(-1), 5000)
      assert.ok(seqs.length >= 700 && seqs.length <= 1700, String(seqs.length))
    },
    { keepEvents: 700 },
  )
})
