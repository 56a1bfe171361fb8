/** S3 as clients speak it: boto3's uploads in parts and presigned requests, virtual hosts, and the JavaScript SDK's streams. */
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { request } from "node:http"
import { Readable } from "node:stream"
import { after, before, test } from "node:test"
import { promisify } from "node:util"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import { findPython } from "./python.ts"

let daemon: SimDaemon
before(async () => {
  daemon = await startSimDaemon()
})
after(() => daemon?.stop())

const python = findPython("boto3")

/** Whatever the name of the host is, it is this machine. */
function fetchHere(url: string): Promise<{ readonly status: number | undefined; readonly text: string }> {
  const { host, port, pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path: pathname + search, headers: { host } }
    request(options, (response) => {
      response
        .toArray()
        .then((parts) => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString() }), reject)
    })
      .on("error", reject)
      .end()
  })
}

test(
  "boto3 uploads in parts, lists, and presigns in every way it has",
  { skip: python ? false : "no boto3" },
  async () => {
    const script = new URL("s3_boto3.py", import.meta.url).pathname
    const byName = `http://localhost:${new URL(daemon.endpoint).port}`
    const { stdout } = await promisify(execFile)(python ?? "", [script, byName], { env: daemon.env, timeout: 60_000 })
    const seen = JSON.parse(stdout)
    assert.deepEqual([seen.same, seen.parts], [true, "3"])
    assert.deepEqual(seen.object, ["abc", { colour: "red" }, 3])
    assert.deepEqual(seen.keys, ["dir/a b+c&é", "large"])
    assert.deepEqual(seen.error, ["NoSuchKey", 404])
    for (const [what, url] of Object.entries<string>(seen.presigned)) {
      assert.deepEqual(await fetchHere(url), { status: 200, text: "abc" }, what)
      const tampered = await fetchHere(url.replace("dir/a", "dir/b"))
      assert.equal(tampered.status, 403, what)
      assert.match(tampered.text, /<Code>SignatureDoesNotMatch<\/Code>/, what)
    }
    assert.match(seen.presigned["version 2"], /AWSAccessKeyId=/)
    assert.match(seen.presigned["virtual host"], /^http:\/\/from-boto3\./)
    const late = seen.presigned["version 2"].replace(/Expires=\d+/, "Expires=1000")
    assert.equal((await fetchHere(late)).status, 403)
    const put = await fetch(seen.upload, { method: "PUT", body: "put by a url" })
    assert.equal(put.status, 200)
    const nobody = await fetch(`${daemon.endpoint}/from-boto3/large`)
    assert.deepEqual([nobody.status, /<Code>(.*?)</.exec(await nobody.text())?.[1]], [403, "AccessDenied"])
  },
)

const client = () =>
  new S3Client({
    endpoint: daemon.endpoint,
    region: "us-east-1",
    credentials: daemon.credentials,
    forcePathStyle: true,
    maxAttempts: 1,
  })

test("a stream of the JavaScript SDK comes in chunks with its checksum behind them, and is kept only when it is right", async () => {
  const s3 = client()
  try {
    await s3.send(new CreateBucketCommand({ Bucket: "streams" }))
    const piece = Buffer.alloc(100_000, "piece of it ")
    const pieces = Array.from({ length: 30 }, () => piece)
    const place = { Bucket: "streams", Key: "stream" }
    const sent = { ...place, Body: Readable.from(pieces), ContentLength: 3_000_000 }
    const { ChecksumCRC32 } = await s3.send(new PutObjectCommand({ ...sent, ChecksumAlgorithm: "CRC32" }))
    assert.match(ChecksumCRC32 ?? "", /^.{6}==$/)
    const { Body } = await s3.send(new GetObjectCommand({ ...place, ChecksumMode: "ENABLED" }))
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? [])
    assert.ok(bytes.equals(Buffer.concat(pieces)))
    // The announced length is not what comes: nothing of it is kept.
    const short = { ...place, Key: "short", Body: Readable.from([piece]), ContentLength: 99_999 }
    await assert.rejects(s3.send(new PutObjectCommand(short)))
    await assert.rejects(s3.send(new GetObjectCommand({ ...place, Key: "short" })), { name: "NoSuchKey" })
  } finally {
    s3.destroy()
  }
})

test("buckets and objects are there after the daemon was killed", async () => {
  const s3 = client()
  await s3.send(new CreateBucketCommand({ Bucket: "kept" }))
  await s3.send(new PutObjectCommand({ Bucket: "kept", Key: "k", Body: "acknowledged" }))
  s3.destroy()
  await daemon.kill9()
  await daemon.restart()
  const again = client()
  const { Body } = await again.send(new GetObjectCommand({ Bucket: "kept", Key: "k" }))
  assert.equal(await Body?.transformToString(), "acknowledged")
  again.destroy()
})
