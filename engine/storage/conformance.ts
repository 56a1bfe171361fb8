/** What every storage engine does. Run by each driver's test with a way to open it; asserts on the interface alone. */
import assert from "node:assert/strict"
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { keyFolder } from "./key-ring.ts"
import type { StorageEngine } from "./types.ts"

const gibibyte = 1024 ** 3

export interface StorageDriver {
  readonly name: string
  open(home: string): Promise<StorageEngine>
  /** A qcow2 file such as users bring, with a backing file where one is named. */
  makeImage(path: string, sizeBytes: number, backing?: string): Promise<void>
}

const secretOf = async (storage: StorageEngine, id: string): Promise<string | undefined> =>
  (await storage.present(id, 0)).secret?.()

export function storageConformance(driver: StorageDriver): void {
  const fixture = async (context: TestContext) => {
    const home = await mkdtemp(join(tmpdir(), "fractus-storage-"))
    context.after(() => rm(home, { recursive: true, force: true }))
    const imageFile = join(home, "import.qcow2")
    await driver.makeImage(imageFile, gibibyte)
    const storage = await driver.open(home)
    context.after(() => storage.close())
    return { home, imageFile, storage }
  }

  describe(`storage engine ${driver.name}`, () => {
    test("an image is there once imported, with its size, and importing again changes nothing", async (context) => {
      const { storage, imageFile } = await fixture(context)
      assert.equal(await storage.hasImage("ami-1"), false)
      await assert.rejects(storage.imageSize("ami-1"), { code: "not-found" })
      await storage.importImage("ami-1", imageFile)
      await storage.importImage("ami-1", imageFile)
      assert.equal(await storage.hasImage("ami-1"), true)
      assert.equal(await storage.imageSize("ami-1"), gibibyte)
    })

    test("a file that is no qcow2, or leans on another file, is no image", async (context) => {
      const { storage, home, imageFile } = await fixture(context)
      const overlay = join(home, "overlay.qcow2")
      await driver.makeImage(overlay, gibibyte, imageFile)
      await assert.rejects(storage.importImage("ami-1", overlay), { code: "invalid" })
      await assert.rejects(storage.importImage("ami-1", import.meta.filename), { code: "invalid" })
      await assert.rejects(storage.importImage("ami-1", join(home, "absent")), { code: "not-found" })
      assert.equal(await storage.hasImage("ami-1"), false)
    })

    test("a volume has the size it was asked for, and asking again changes nothing", async (context) => {
      const { storage } = await fixture(context)
      const spec = { id: "vol-1", sizeBytes: 5 * gibibyte }
      assert.equal(await storage.hasVolume("vol-1"), false)
      await storage.createVolume(spec)
      await storage.createVolume(spec)
      assert.equal(await storage.hasVolume("vol-1"), true)
      assert.equal((await storage.inspectVolume("vol-1")).sizeBytes, 5 * gibibyte)
      assert.deepEqual(await storage.listVolumes(), ["vol-1"])
      await assert.rejects(storage.createVolume({ ...spec, sizeBytes: gibibyte }), { code: "conflict" })
    })

    test("a volume from an image is at least as large as the image", async (context) => {
      const { storage, imageFile } = await fixture(context)
      await storage.importImage("ami-1", imageFile)
      const small = { id: "vol-1", sizeBytes: gibibyte - 512, image: "ami-1" }
      await assert.rejects(storage.createVolume(small), { code: "invalid" })
      await assert.rejects(storage.createVolume({ ...small, image: "ami-2" }), { code: "not-found" })
      assert.deepEqual(await storage.listVolumes(), [])
      await storage.createVolume({ ...small, sizeBytes: gibibyte + 512 })
      assert.equal((await storage.inspectVolume("vol-1")).sizeBytes, gibibyte + 512)
    })

    test("bad ids, sizes and users are refused and leave nothing", async (context) => {
      const { storage } = await fixture(context)
      for (const id of ["", "../x", "a/b", "A", "-a", ".new-1-1", "a\n", "a".repeat(101), "a,b"]) {
        await assert.rejects(storage.createVolume({ id, sizeBytes: gibibyte }), { code: "invalid" }, id)
        await assert.rejects(storage.importImage(id, import.meta.filename), { code: "invalid" }, id)
        await assert.rejects(storage.hasVolume(id), { code: "invalid" }, id)
        await assert.rejects(
          storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, image: id }),
          { code: "invalid" },
          id,
        )
      }
      for (const sizeBytes of [0, -512, 1, 513, 512.5, Number.NaN, Infinity, 2 ** 60]) {
        await assert.rejects(storage.createVolume({ id: "vol-1", sizeBytes }), { code: "invalid" }, String(sizeBytes))
      }
      assert.deepEqual(await storage.listVolumes(), [])
      await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte })
      await assert.rejects(storage.present("vol-1", -1), { code: "invalid" })
      await assert.rejects(storage.present("vol-1", 2 ** 32 - 1), { code: "invalid" })
    })

    test("a removed volume is gone, and removing again changes nothing", async (context) => {
      const { storage } = await fixture(context)
      await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte })
      await storage.removeVolume("vol-1")
      await storage.removeVolume("vol-1")
      assert.equal(await storage.hasVolume("vol-1"), false)
      await assert.rejects(storage.inspectVolume("vol-1"), { code: "not-found" })
      await assert.rejects(storage.present("vol-1", 0), { code: "not-found" })
      await storage.release("vol-1")
      await storage.createVolume({ id: "vol-1", sizeBytes: 2 * gibibyte })
      assert.equal((await storage.inspectVolume("vol-1")).sizeBytes, 2 * gibibyte)
    })

    test("an image that volumes stand on stays until they are gone", async (context) => {
      const { storage, imageFile } = await fixture(context)
      await storage.importImage("ami-1", imageFile)
      await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, image: "ami-1" })
      await assert.rejects(storage.removeImage("ami-1"), { code: "in-use" })
      assert.equal(await storage.hasImage("ami-1"), true)
      await storage.removeVolume("vol-1")
      await storage.removeImage("ami-1")
      await storage.removeImage("ami-1")
      assert.equal(await storage.hasImage("ami-1"), false)
      await assert.rejects(storage.createVolume({ id: "vol-2", sizeBytes: gibibyte, image: "ami-1" }), {
        code: "not-found",
      })
    })

    test("many asked for at once, some twice, are all there", async (context) => {
      const { storage, imageFile } = await fixture(context)
      await storage.importImage("ami-1", imageFile)
      const ids = Array.from({ length: 20 }, (_, index) => `vol-${index % 10}`)
      await Promise.all(ids.map((id) => storage.createVolume({ id, sizeBytes: gibibyte, image: "ami-1" })))
      assert.deepEqual(
        (await storage.listVolumes()).toSorted((a, b) => a.localeCompare(b)),
        [...new Set(ids)],
      )
    })

    test("an encrypted volume has a secret of its own, which is the same each time and for a later process", async (context) => {
      const { storage, home } = await fixture(context)
      const spec = { sizeBytes: gibibyte, key: "key-1" }
      await storage.createVolume({ id: "vol-1", ...spec })
      await storage.createVolume({ id: "vol-1", ...spec })
      await storage.createVolume({ id: "vol-2", ...spec })
      await storage.createVolume({ id: "vol-plain", sizeBytes: gibibyte })
      const secrets = await Promise.all(["vol-1", "vol-2", "vol-plain"].map((id) => secretOf(storage, id)))
      assert.match(secrets[0] ?? "", /^[0-9a-f]{64}$/)
      assert.match(secrets[1] ?? "", /^[0-9a-f]{64}$/)
      assert.notEqual(secrets[0], secrets[1])
      assert.equal(secrets[2], undefined)
      assert.ok(!JSON.stringify(await storage.present("vol-1", 0)).includes(secrets[0] ?? ""))
      for (const key of ["key-2", undefined]) {
        const other = { id: "vol-1", sizeBytes: gibibyte, ...(key === undefined ? {} : { key }) }
        await assert.rejects(storage.createVolume(other), { code: "conflict" })
      }
      await assert.rejects(storage.createVolume({ id: "vol-3", ...spec, key: "../key" }), { code: "invalid" })
      await storage.close()
      const again = await driver.open(home)
      context.after(() => again.close())
      assert.equal(await secretOf(again, "vol-1"), secrets[0])
      await again.removeVolume("vol-1")
      await again.createVolume({ id: "vol-1", ...spec })
      assert.notEqual(await secretOf(again, "vol-1"), secrets[0])
    })

    test("without its key, with another one or a damaged one an encrypted volume is refused, and the others are not", async (context) => {
      const { storage, home } = await fixture(context)
      await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, key: "key-1" })
      await storage.createVolume({ id: "vol-2", sizeBytes: gibibyte, key: "key-2" })
      await storage.createVolume({ id: "vol-plain", sizeBytes: gibibyte })
      const [mine, other] = ["key-1", "key-2"].map((name) => join(keyFolder(home), `${name}.key`))
      assert.ok(mine && other)
      const refused = async (): Promise<void> => {
        await assert.rejects(storage.present("vol-1", 0), { name: "StorageError", code: "no-key" })
        await storage.present("vol-2", 0)
        await storage.present("vol-plain", 0)
      }
      const kept = await readFile(mine)
      await rename(mine, `${mine}.away`)
      await refused()
      await copyFile(other, mine)
      await refused()
      await writeFile(mine, kept.subarray(0, 31))
      await refused()
      await assert.rejects(storage.createVolume({ id: "vol-3", sizeBytes: gibibyte, key: "key-1" }), { code: "no-key" })
      assert.equal(await storage.hasVolume("vol-3"), false)
      assert.equal((await readFile(mine)).length, 31)
      await rename(`${mine}.away`, mine)
      await storage.present("vol-1", 0)
    })

    test("a snapshot outlives its volume, volumes are made of it, and they outlive it", async (context) => {
      const { storage, imageFile, home } = await fixture(context)
      const still: string[] = []
      const now = async <T>(work: () => Promise<T>): Promise<T> => {
        still.push("now")
        return work()
      }
      await storage.importImage("ami-1", imageFile)
      await storage.createVolume({ id: "vol-1", sizeBytes: 2 * gibibyte, image: "ami-1" })
      await storage.createVolume({ id: "vol-2", sizeBytes: gibibyte })
      const set = [
        { id: "snap-1", from: { volume: "vol-1" } },
        { id: "snap-2", from: { volume: "vol-2" } },
      ]
      await storage.createSnapshots(set, now)
      await storage.createSnapshots(set, now)
      assert.deepEqual(still, ["now"], "both in one moment, and once")
      await storage.createSnapshots([{ id: "snap-3", from: { snapshot: "snap-1" } }], now)
      await storage.createSnapshots([{ id: "snap-4", from: { image: "ami-1" } }], now)
      for (const id of ["vol-1", "vol-2"]) await storage.removeVolume(id)
      await storage.removeImage("ami-1")
      const small = { id: "vol-3", sizeBytes: gibibyte, snapshot: "snap-3" }
      await assert.rejects(storage.createVolume(small), { code: "invalid" })
      await storage.createVolume({ ...small, sizeBytes: 3 * gibibyte })
      await storage.createVolume({ ...small, sizeBytes: 3 * gibibyte })
      await assert.rejects(storage.createVolume({ id: "vol-3", sizeBytes: 3 * gibibyte }), { code: "conflict" })
      await storage.close()
      const again = await driver.open(home)
      context.after(() => again.close())
      assert.deepEqual(
        (await again.listSnapshots()).toSorted((a, b) => a.localeCompare(b)),
        ["snap-1", "snap-2", "snap-3", "snap-4"],
      )
      for (const id of await again.listSnapshots()) await again.removeSnapshot(id)
      await again.removeSnapshot("snap-1")
      assert.deepEqual(await again.listSnapshots(), [])
      assert.equal((await again.inspectVolume("vol-3")).sizeBytes, 3 * gibibyte)
      await assert.rejects(again.createVolume({ ...small, id: "vol-4" }), { code: "not-found" })
    })

    test("a snapshot of what is not there, or that fails, leaves nothing; nor does one of something encrypted lose that", async (context) => {
      const { storage } = await fixture(context)
      const now = <T>(work: () => Promise<T>): Promise<T> => work()
      await storage.createVolume({ id: "vol-1", sizeBytes: gibibyte, key: "key-1" })
      await storage.createVolume({ id: "vol-2", sizeBytes: gibibyte })
      const plain = { id: "snap-2", from: { volume: "vol-2" } }
      const make = (...specs: Parameters<StorageEngine["createSnapshots"]>[0]) => storage.createSnapshots(specs, now)
      await assert.rejects(make(plain, { id: "snap-1", from: { volume: "vol-0" } }), { code: "not-found" })
      await assert.rejects(make({ id: "snap-1", from: { volume: "vol-1" } }), { code: "invalid" })
      await assert.rejects(make({ id: "../snap", from: { volume: "vol-2" } }), { code: "invalid" })
      await assert.rejects(make({ id: "snap-1", from: { volume: "../vol-2" } }), { code: "invalid" })
      const refuses = () => Promise.reject(new Error("it moves"))
      await assert.rejects(storage.createSnapshots([plain], refuses), { message: "it moves" })
      assert.deepEqual(await storage.listSnapshots(), [])
      await make({ id: "snap-1", from: { volume: "vol-1" }, key: "key-2" })
      const volume = { id: "vol-3", sizeBytes: gibibyte, snapshot: "snap-1" }
      await assert.rejects(storage.createVolume(volume), { code: "invalid" })
      await storage.createVolume({ ...volume, key: "key-3" })
      assert.match((await secretOf(storage, "vol-3")) ?? "", /^[0-9a-f]{64}$/)
    })

    test("a later process finds images and volumes again", async (context) => {
      const { storage, home, imageFile } = await fixture(context)
      await storage.importImage("ami-1", imageFile)
      await storage.createVolume({ id: "vol-1", sizeBytes: 3 * gibibyte, image: "ami-1" })
      await storage.close()
      const again = await driver.open(home)
      context.after(() => again.close())
      assert.deepEqual(await again.listVolumes(), ["vol-1"])
      assert.equal((await again.inspectVolume("vol-1")).sizeBytes, 3 * gibibyte)
      assert.equal(await again.hasImage("ami-1"), true)
      await assert.rejects(again.createVolume({ id: "vol-1", sizeBytes: gibibyte, image: "ami-1" }), {
        code: "conflict",
      })
    })
  })
}
