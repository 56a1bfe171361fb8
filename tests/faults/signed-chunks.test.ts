/** Bodies of S3 in signed chunks with signed trailers, over the wire: kept when every signature is right, and nothing of them otherwise. */
import { Sha256 } from "@smithy/core/checksum"
import { SignatureV4 } from "@smithy/signature-v4"
import assert from "node:assert/strict"
import { createHmac, hash } from "node:crypto"
import { after, before, test } from "node:test"
import { crc32 } from "node:zlib"
import { type SimDaemon, startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient } from "./client.ts"
import { findAll, parseXml } from "./xml.ts"

let daemon: SimDaemon
let client: Client
before(async () => {
  daemon = await startSimDaemon()
  client = createClient(daemon.endpoint)
  assert.equal(await send("PUT", "/chunks", Buffer.alloc(0)), "200")
})
after(async () => {
  client.close()
  await daemon.stop()
})

/** Headers of a signed request whose body is said by `payload`. */
async function head(method: string, path: string, payload: string, more: Readonly<Record<string, string>> = {}) {
  const { hostname, host } = new URL(daemon.endpoint)
  const credentials = daemon.credentials
  const signer = new SignatureV4({
    service: "s3",
    region: "us-east-1",
    sha256: Sha256,
    credentials,
    uriEscapePath: false,
  })
  const headers = { host, "x-amz-content-sha256": payload, ...more }
  return (await signer.sign({ method, protocol: "http:", hostname, path, query: {}, headers })).headers
}

/** "200", or the error's code. */
async function said(method: string, path: string, headers: Readonly<Record<string, string>>, body: Buffer) {
  const answer = await client.send({ method, path, headers, body })
  return answer.status === 200 ? "200" : findAll(parseXml(answer.body), "Code")[0]?.text
}

const send = async (method: string, path: string, body: Buffer) =>
  said(method, path, await head(method, path, hash("sha256", body, "hex")), body)

interface Part {
  readonly bytes: Buffer
  signature: string
}
interface Upload {
  parts: Part[]
  trailer: string
  trailerSignature: string
}

const sign = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest()
const nothing = hash("sha256", "", "hex")

/** Sends chunks of 8 KiB and 3 bytes with their checksum behind them, signed, and changed by `spoil`. */
async function upload(key: string, spoil: (upload: Upload) => void = () => {}, cutBytes = 0) {
  const pieces = [Buffer.alloc(8192, 97), Buffer.from("end"), Buffer.alloc(0)]
  const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const path = `/chunks/${key}`
  const headers = await head("PUT", path, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", {
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": String(sizeBytes),
    "x-amz-trailer": "x-amz-checksum-crc32",
  })
  const time = headers["x-amz-date"] ?? ""
  const scope = [time.slice(0, 8), "us-east-1", "s3", "aws4_request"]
  const signing = scope.reduce(
    (last, text) => sign(last, text),
    Buffer.from(`AWS4${daemon.credentials.secretAccessKey}`),
  )
  let previous = /Signature=([0-9a-f]{64})/.exec(headers["authorization"] ?? "")?.[1] ?? ""
  const next = (kind: string, ...lines: readonly string[]) => {
    const text = [`AWS4-HMAC-SHA256-${kind}`, time, scope.join("/"), previous, ...lines].join("\n")
    previous = sign(signing, text).toString("hex")
    return previous
  }
  const parts = pieces.map((bytes) => ({ bytes, signature: next("PAYLOAD", nothing, hash("sha256", bytes, "hex")) }))
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(Buffer.concat(pieces)))
  const trailer = `x-amz-checksum-crc32:${sum.toString("base64")}`
  const made: Upload = { parts, trailer, trailerSignature: next("TRAILER", hash("sha256", `${trailer}\n`, "hex")) }
  spoil(made)
  const lines = made.parts.flatMap(({ bytes, signature }) => [
    Buffer.from(`${bytes.length.toString(16)};chunk-signature=${signature}\r\n`),
    bytes,
    // The last one, of no bytes, is followed by the trailers.
    Buffer.from(bytes.length === 0 ? "" : "\r\n"),
  ])
  const signed = `${made.trailer}\r\nx-amz-trailer-signature:${made.trailerSignature}\r\n`
  const end = Buffer.from(made.trailer === "" ? "\r\n" : `${signed}\r\n`)
  const body = Buffer.concat([...lines, end])
  return said("PUT", path, headers, body.subarray(0, body.length - cutBytes))
}

const wrong = "0".repeat(64)
const spoils: readonly (readonly [what: string, spoil: (upload: Upload) => void, code: string])[] = [
  ["a changed byte", ({ parts }) => void parts[0]?.bytes.fill(98, 5, 6), "SignatureDoesNotMatch"],
  ["a wrong signature of a chunk", ({ parts }) => void ((parts[1] as Part).signature = wrong), "SignatureDoesNotMatch"],
  ["a chunk left out", ({ parts }) => void parts.splice(1, 1), "SignatureDoesNotMatch"],
  ["chunks in another order", ({ parts }) => void parts.unshift(...parts.splice(1, 1)), "SignatureDoesNotMatch"],
  ["another checksum", (it) => void (it.trailer = "x-amz-checksum-crc32:AAAAAA=="), "SignatureDoesNotMatch"],
  ["a trailer that was announced and does not come", (it) => void (it.trailer = ""), "MalformedTrailerError"],
  ["a wrong signature of the trailer", (it) => void (it.trailerSignature = wrong), "SignatureDoesNotMatch"],
]

test("chunks and trailers that are signed right are kept", async () => {
  assert.equal(await upload("right"), "200")
  const { status, body } = await client.send({
    method: "GET",
    path: "/chunks/right",
    headers: await head("GET", "/chunks/right", nothing),
  })
  assert.deepEqual([status, body.length, body.slice(-4)], [200, 8195, "aend"])
})

for (const [what, spoil, code] of spoils)
  test(`${what} is refused and nothing is kept`, async () => {
    assert.equal(await upload("wrong", spoil), code)
    assert.equal(await send("GET", "/chunks/wrong", Buffer.alloc(0)), "NoSuchKey")
  })

test("a body that ends too early is refused wherever it ends", async () => {
  for (const cutBytes of [3, 60, 130, 200, 8000])
    assert.equal(await upload("cut", () => {}, cutBytes), "IncompleteBody")
  assert.equal(await send("GET", "/chunks/cut", Buffer.alloc(0)), "NoSuchKey")
})
