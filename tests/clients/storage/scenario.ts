/**
 * The same scenario by any client of S3, in a bucket of its own: what it lists, gets back and is refused, and what boto3, which uploads by itself in
 * s3.test.ts, sees of it, is the same for all.
 */
import assert from "node:assert/strict"
import { hash, randomBytes } from "node:crypto"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import { findPython } from "../python.ts"
import { type Place, run, type Tool } from "./tool.ts"

export interface Opened {
  readonly name: string
  readonly isThere: boolean
  readonly open: (place: Place) => Tool
}

const python = findPython("boto3")
const why = (isThere: boolean) => (!isThere ? "it is not here" : python === undefined ? "no boto3" : false)

/** What every client uploads. The large one has more than two parts of 5 MiB. */
export const names = ["deep/a b+c \u00e9.bin", "deep/large", "empty", "small.txt"]

async function writeFiles(folder: string): Promise<void> {
  await mkdir(join(folder, "from", "deep"), { recursive: true })
  const contents = [Buffer.from([0, 255, 10, 13]), randomBytes(12 * 2 ** 20), "", "small\n"]
  for (const [index, name] of names.entries()) await writeFile(join(folder, "from", name), contents[index] ?? "")
}

/** Each file's SHA-256. */
async function sumsOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const sums = names.map(async (name) => [name, hash("sha256", await readFile(join(folder, name)), "hex")] as const)
  return Object.fromEntries(await Promise.all(sums))
}

/** What boto3 sees in a bucket: key -> size and SHA-256, and whether it came in parts. */
const look = `
import boto3, hashlib, json, os, sys
s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
seen = {}
for each in s3.list_objects_v2(Bucket=sys.argv[1]).get("Contents", []):
    got = s3.get_object(Bucket=sys.argv[1], Key=each["Key"])
    body = got["Body"].read()
    seen[each["Key"]] = [len(body) == each["Size"], hashlib.sha256(body).hexdigest(), "-" in each["ETag"]]
json.dump(seen, sys.stdout)
`
const seenByBoto3 = async (place: Place, bucket: string) =>
  JSON.parse(await run(place, python ?? "", ["-c", look, bucket])) as Readonly<
    Record<string, readonly [boolean, string, boolean]>
  >

/** A test for each, on one simulated cloud. */
export function testStorage(tools: readonly Opened[]): void {
  let daemon: SimDaemon
  let folder: string
  before(async () => {
    daemon = await startSimDaemon()
    folder = await mkdtemp(join(tmpdir(), "fractus-s3-"))
    await writeFiles(folder)
  })
  after(async () => {
    await daemon?.stop()
    if (folder) await rm(folder, { recursive: true, force: true })
  })
  for (const [index, { name, isThere, open }] of tools.entries())
    test(`${name}: buckets, parts, copies, lists, presigned requests`, { skip: why(isThere) }, async (t) => {
      const place = { daemon, folder }
      const tool = open(place)
      t.after(() => tool.close?.())
      await life(tool, place, `scenario-${index}`)
    })
}

async function life(tool: Tool, place: Place, bucket: string): Promise<void> {
  await tool.makeBucket(bucket)
  await tool.upload(bucket)
  assert.deepEqual(await tool.list(bucket), names)
  const sums = await sumsOf(join(place.folder, "from"))
  const seen = await seenByBoto3(place, bucket)
  assert.deepEqual(Object.fromEntries(Object.entries(seen).map(([key, [, sum]]) => [key, sum])), sums)
  assert.ok(Object.values(seen).every(([isWhole]) => isWhole))
  assert.equal(seen["deep/large"]?.[2], true, "the large one came in parts")

  const to = join(place.folder, `to-${bucket}`)
  await mkdir(to)
  await tool.download(bucket, to)
  assert.deepEqual(await sumsOf(to), sums)

  await tool.copy(bucket, "small.txt", "copies/of small.txt")
  const answer = await fetch(await tool.presigned(bucket, "copies/of small.txt"))
  assert.deepEqual([answer.status, await answer.text()], [200, "small\n"])
  await tool.remove(bucket, "small.txt")
  assert.deepEqual(await tool.list(bucket), ["copies/of small.txt", ...names.slice(0, -1)].toSorted())
  await assert.rejects(tool.missing(bucket), /404|NoSuchKey|not found|does(n't| not) exist/i)
  await tool.removeBucket(bucket)
  await assert.rejects(seenByBoto3(place, bucket), /NoSuchBucket/)
}
