/** The example of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, and what is wrong with bodies. */
import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { test } from "node:test"
import { readChunks } from "./chunks.ts"
import type { Claim } from "./claim.ts"
import { hmacKey } from "./hmac.ts"

const sign = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest()
const scope = ["20130524", "us-east-1", "s3", "aws4_request"]
const key = hmacKey(
  scope.reduce<Buffer>((made, part) => sign(made, part), Buffer.from("AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
)
const claim: Claim = {
  credential: "",
  scope: scope.join("/"),
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  day: "20130524",
  region: "us-east-1",
  service: "s3",
  signedHeaders: [],
  signature: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
  timestamp: "20130524T000000Z",
  signedAtMs: 0,
  expiresMs: undefined,
}

const chunk = (size: number, signature: string, letter = "a") =>
  `${size.toString(16)};chunk-signature=${signature}\r\n${letter.repeat(size)}\r\n`
const first = chunk(65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648")
const second = chunk(1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497")
const last = chunk(0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9")

async function* inPieces(text: string, pieceBytes: number) {
  const bytes = Buffer.from(text, "latin1")
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

async function read(text: string, isSigned = true, pieceBytes = 1000) {
  let trailers: ReadonlyMap<string, string> = new Map()
  const signed = isSigned ? { key, claim } : undefined
  const parts: Uint8Array[] = []
  for await (const part of readChunks(inPieces(text, pieceBytes), {
    signed,
    onTrailers: (found) => (trailers = found),
  }))
    parts.push(part)
  return { text: Buffer.concat(parts).toString(), trailers }
}

test("AWS's own example is believed, in pieces of any size", async () => {
  for (const pieceBytes of [1, 7, 65_536, 100_000]) {
    const { text } = await read(first + second + last, true, pieceBytes)
    assert.ok(text === "a".repeat(66_560))
  }
})

test("a chunk that was changed, left out, put elsewhere or added is refused", async () => {
  const changed = first.replace("\r\na", "\r\nb")
  for (const body of [
    changed + second + last,
    second + last,
    first + last,
    second + first + last,
    first + first + second + last,
  ])
    await assert.rejects(read(body), { code: "SignatureDoesNotMatch" })
})

test("a body that ends early or goes on behind its end is refused", async () => {
  const unsigned = "3\r\nabc\r\n0\r\n"
  assert.equal((await read(unsigned, false)).text, "abc")
  assert.deepEqual(
    [...(await read(`${unsigned}x-amz-checksum-crc32:AAAA==\r\n\r\n`, false)).trailers],
    [["x-amz-checksum-crc32", "AAAA=="]],
  )
  for (const body of [
    "",
    "3\r\nab",
    "3\r\nabc",
    "3\r\nabc\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "zz\r\n",
    `${unsigned}\r\nmore`,
    "f".repeat(2000),
    "ffffffff\r\n",
  ])
    await assert.rejects(read(body, false), { code: "IncompleteBody" }, body)
  await assert.rejects(read(first + second), { code: "IncompleteBody" })
  await assert.rejects(read("3\r\nabc\r\n0\r\n\r\n"), { code: "IncompleteBody" })
})
