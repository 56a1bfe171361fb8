/** s3cmd and rclone do what boto3 does: the same scenario in a bucket each, and what boto3 then sees there is the same. */
import assert from "node:assert/strict"
import { execFile, spawnSync } from "node:child_process"
import { hash, randomBytes } from "node:crypto"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { promisify } from "node:util"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import { findPython } from "./python.ts"

const exec = promisify(execFile)
const has = (program: string) => spawnSync(program, ["--version"], { timeout: 30_000 }).status === 0
const python = findPython("boto3")
const why = (program: string) => (!has(program) ? `no ${program}` : python === undefined ? "no boto3" : false)

let daemon: SimDaemon
let folder: string
before(async () => {
  daemon = await startSimDaemon()
  folder = await mkdtemp(join(tmpdir(), "fractus-s3-"))
  await mkdir(join(folder, "from", "deep"), { recursive: true })
  await writeFile(join(folder, "from", "small.txt"), "small\n")
  await writeFile(join(folder, "from", "empty"), "")
  await writeFile(join(folder, "from", "deep", "a b+c é.bin"), Buffer.from([0, 255, 10, 13]))
  // More than two parts of 5 MiB.
  await writeFile(join(folder, "from", "deep", "large"), randomBytes(12 * 2 ** 20))
})
after(async () => {
  await daemon?.stop()
  await rm(folder, { recursive: true, force: true })
})

const names = ["deep/a b+c é.bin", "deep/large", "empty", "small.txt"]

/** Each file's SHA-256. */
async function sumsOf(place: string): Promise<Readonly<Record<string, string>>> {
  const sums = names.map(async (name) => [name, hash("sha256", await readFile(join(place, name)), "hex")] as const)
  return Object.fromEntries(await Promise.all(sums))
}

interface Tool {
  makeBucket(bucket: string): Promise<unknown>
  /** All below a folder, to below a prefix. */
  upload(bucket: string): Promise<unknown>
  download(bucket: string, to: string): Promise<unknown>
  /** One object's copy within the bucket. */
  copy(bucket: string, from: string, to: string): Promise<unknown>
  remove(bucket: string, key: string): Promise<unknown>
  /** Keys of the whole bucket, sorted. */
  list(bucket: string): Promise<readonly string[]>
  presigned(bucket: string, key: string): Promise<string>
  /** An object that is not there: how the tool says it. */
  missing(bucket: string): Promise<unknown>
  removeBucket(bucket: string): Promise<unknown>
}

const run = async (program: string, argv: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  (await exec(program, argv, { env: { ...daemon.env, HOME: folder, ...more }, timeout: 120_000, maxBuffer: 2 ** 24 }))
    .stdout

/** Options that say all, so that no configuration of the machine's user gets in. */
function s3cmd(): Tool {
  const { host } = new URL(daemon.endpoint)
  const { accessKeyId, secretAccessKey } = daemon.credentials
  const options = ["--no-ssl", `--host=${host}`, `--host-bucket=${host}`, "--region=us-east-1", "--config=/dev/null"]
  const keys = [`--access_key=${accessKeyId}`, `--secret_key=${secretAccessKey}`]
  const s3 = (...argv: readonly string[]) => run("s3cmd", [...options, ...keys, "--no-progress", ...argv])
  return {
    makeBucket: (bucket) => s3("mb", `s3://${bucket}`),
    upload: (bucket) => s3("put", "--recursive", "--multipart-chunk-size-mb=5", `${folder}/from/`, `s3://${bucket}/`),
    download: (bucket, to) => s3("get", "--recursive", `s3://${bucket}/`, `${to}/`),
    copy: (bucket, from, to) => s3("cp", `s3://${bucket}/${from}`, `s3://${bucket}/${to}`),
    remove: (bucket, key) => s3("del", `s3://${bucket}/${key}`),
    async list(bucket) {
      const lines = (await s3("ls", "--recursive", `s3://${bucket}`)).trimEnd().split("\n")
      return lines.map((line) => line.slice(line.indexOf(`s3://${bucket}/`) + bucket.length + 6)).toSorted()
    },
    presigned: async (bucket, key) => (await s3("signurl", `s3://${bucket}/${key}`, "+600")).trim(),
    missing: (bucket) => s3("get", `s3://${bucket}/none`, join(folder, "none")),
    removeBucket: (bucket) => s3("rb", "--recursive", "--force", `s3://${bucket}`),
  }
}

function rclone(): Tool {
  const { accessKeyId, secretAccessKey } = daemon.credentials
  const settings = {
    RCLONE_CONFIG: "/dev/null",
    RCLONE_CONFIG_HERE_TYPE: "s3",
    RCLONE_CONFIG_HERE_PROVIDER: "Other",
    RCLONE_CONFIG_HERE_ENDPOINT: daemon.endpoint,
    RCLONE_CONFIG_HERE_REGION: "us-east-1",
    RCLONE_CONFIG_HERE_ACCESS_KEY_ID: accessKeyId,
    RCLONE_CONFIG_HERE_SECRET_ACCESS_KEY: secretAccessKey,
    RCLONE_S3_UPLOAD_CUTOFF: "5Mi",
    RCLONE_S3_CHUNK_SIZE: "5Mi",
    RCLONE_RETRIES: "1",
    RCLONE_LOW_LEVEL_RETRIES: "1",
  }
  const rc = (...argv: readonly string[]) => run("rclone", argv, settings)
  return {
    makeBucket: (bucket) => rc("mkdir", `here:${bucket}`),
    upload: (bucket) => rc("copy", join(folder, "from"), `here:${bucket}`),
    download: (bucket, to) => rc("copy", `here:${bucket}`, to),
    copy: (bucket, from, to) => rc("copyto", `here:${bucket}/${from}`, `here:${bucket}/${to}`),
    remove: (bucket, key) => rc("deletefile", `here:${bucket}/${key}`),
    list: async (bucket) =>
      (await rc("lsf", "--recursive", "--files-only", `here:${bucket}`)).trimEnd().split("\n").toSorted(),
    presigned: async (bucket, key) => (await rc("link", "--expire", "10m", `here:${bucket}/${key}`)).trim(),
    missing: (bucket) => rc("deletefile", `here:${bucket}/none`),
    removeBucket: (bucket) => rc("purge", `here:${bucket}`),
  }
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
const seenByBoto3 = async (bucket: string) =>
  JSON.parse(await run(python ?? "", ["-c", look, bucket])) as Readonly<
    Record<string, readonly [boolean, string, boolean]>
  >

for (const [program, open] of Object.entries({ s3cmd, rclone }))
  test(`${program}: buckets, parts, copies, lists, presigned requests`, { skip: why(program) }, async () => {
    const tool = open()
    const bucket = `from-${program}`
    await tool.makeBucket(bucket)
    await tool.upload(bucket)
    assert.deepEqual(await tool.list(bucket), names)
    const sums = await sumsOf(join(folder, "from"))
    const seen = await seenByBoto3(bucket)
    assert.deepEqual(Object.fromEntries(Object.entries(seen).map(([key, [, sum]]) => [key, sum])), sums)
    assert.ok(Object.values(seen).every(([isWhole]) => isWhole))
    assert.equal(seen["deep/large"]?.[2], true, "the large one came in parts")

    const to = join(folder, `to-${program}`)
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
    await assert.rejects(seenByBoto3(bucket), /NoSuchBucket/)
  })
