import { Sha256 } from "@smithy/core/checksum"
import { SignatureV4 } from "@smithy/signature-v4"
import fc from "fast-check"
import assert from "node:assert/strict"
import { createHash, createHmac } from "node:crypto"
import { test } from "node:test"
import { Fault } from "#lib/fault.ts"
import type { Caller, Protocol, Secret } from "../types.ts"
import { type Headers, readClaim, type SignedRequest } from "./claim.ts"
import { createVerifier } from "./verify.ts"

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)
const caller: Caller = {
  accessKeyId: "AKIDEXAMPLE",
  account: "123456789012",
  arn: "arn:aws:iam::123456789012:root",
  userId: "123456789012",
}
const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
const keys = new Map<string, Secret>([
  ["AKIDEXAMPLE", { secretAccessKey, caller, active: true }],
  ["AKIDINACTIVE", { secretAccessKey, caller, active: false }],
])
const verifier = createVerifier({ secrets: (id) => Promise.resolve(keys.get(id)), clock: { wallMs: () => nowMs } })

interface Plain {
  method: string
  path: string
  query: Record<string, string | string[]>
  headers: Record<string, string>
  body: string
}
interface SignWith {
  accessKeyId?: string
  secret?: string
  region?: string
  service?: string
  signedAtMs?: number
  presignSeconds?: number
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function wireQuery(query: Plain["query"]): string {
  return Object.entries(query)
    .flatMap(([name, values]) => [values].flat().map((value) => `${encode(name)}=${encode(value)}`))
    .join("&")
}

/** Signs as the SDK does, and gives the request as it would arrive. */
async function signed(plain: Plain, how: SignWith = {}): Promise<{ request: SignedRequest; body: Buffer }> {
  const signer = new SignatureV4({
    credentials: { accessKeyId: how.accessKeyId ?? "AKIDEXAMPLE", secretAccessKey: how.secret ?? secretAccessKey },
    region: how.region ?? "us-east-1",
    service: how.service ?? "ec2",
    sha256: Sha256,
    applyChecksum: true,
  })
  const { body, ...rest } = plain
  const request = {
    protocol: "http:",
    hostname: "localhost",
    ...rest,
    headers: { host: "localhost:4566", ...rest.headers },
  }
  const signingDate = new Date(how.signedAtMs ?? nowMs)
  const done = how.presignSeconds
    ? await signer.presign({ ...request, body: "" }, { signingDate, expiresIn: how.presignSeconds })
    : await signer.sign({ ...request, body }, { signingDate })
  const headers: Record<string, string[]> = {}
  for (const [name, value] of Object.entries(done.headers)) headers[name.toLowerCase()] = [value]
  const query: Plain["query"] = {}
  for (const [name, value] of Object.entries(done.query ?? {})) if (value !== null) query[name] = value
  return {
    request: { method: done.method, path: done.path, query: wireQuery(query), headers },
    body: Buffer.from(how.presignSeconds ? "" : body),
  }
}

async function verify(request: SignedRequest, body: Buffer, protocol: Protocol = "ec2Query"): Promise<Caller> {
  const claim = readClaim(request, protocol)
  assert.ok(claim, "not signed at all")
  return verifier(request, claim, body, protocol)
}

async function refusedWith(
  code: string,
  request: SignedRequest,
  body: Buffer,
  protocol: Protocol = "ec2Query",
): Promise<Fault> {
  let fault: unknown
  try {
    await verify(request, body, protocol)
  } catch (thrown) {
    fault = thrown
  }
  assert.ok(fault instanceof Fault, `was not refused with ${code}`)
  assert.equal(fault.code, code)
  return fault
}

const plain: Plain = {
  method: "POST",
  path: "/",
  query: {},
  headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
  body: "Action=DescribeRegions&Version=2016-11-15",
}

const word = fc.string({ unit: "grapheme-ascii", maxLength: 12 })
const pathPart = fc.constantFrom(
  "",
  ".",
  "..",
  "a",
  "b c".replace(" ", "%20"),
  "%2F",
  "%c3%a9",
  "~x",
  "a+b",
  "(x)*!'",
  "=&",
)
const headerValue = fc.stringMatching(/^[!-~]([ -~]{0,10}[!-~])?$/)
const arbitraryPlain: fc.Arbitrary<Plain> = fc.record({
  method: fc.constantFrom("GET", "POST"),
  path: fc.array(pathPart, { maxLength: 6 }).map((parts) => `/${parts.join("/")}`),
  query: fc
    .dictionary(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
      fc.oneof(word, fc.array(word, { minLength: 1, maxLength: 3 })),
      { maxKeys: 4 },
    )
    .map((query) =>
      Object.fromEntries(Object.entries(query).filter(([name]) => !/^x-amz-/i.test(name) && name !== "__proto__")),
    ),
  headers: fc.dictionary(fc.stringMatching(/^x-[a-z]{1,6}$/), headerValue, { maxKeys: 3 }),
  body: fc.string({ unit: "grapheme", maxLength: 40 }),
})

test("what the SDK signs is believed, and one changed bit anywhere is not", async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPlain, fc.nat(63), async (arbitrary, digit) => {
      const { request, body } = await signed(arbitrary)
      assert.deepEqual(await verify(request, body), caller)

      await refusedWith("AuthFailure", request, Buffer.concat([body, Buffer.from("x")]))
      await refusedWith("AuthFailure", { ...request, method: request.method === "GET" ? "POST" : "GET" }, body)
      await refusedWith("AuthFailure", { ...request, path: `${request.path}/more` }, body)
      await refusedWith("AuthFailure", { ...request, query: `${request.query}&extra=1` }, body)
      await refusedWith("AuthFailure", withHeaders(request, { host: ["localhost:4567"] }), body)
      const authorization = request.headers.authorization?.[0] ?? ""
      const at = authorization.length - 64 + digit
      const changed = authorization[at] === "0" ? "1" : "0"
      const tampered = authorization.slice(0, at) + changed + authorization.slice(at + 1)
      await refusedWith("AuthFailure", withHeaders(request, { authorization: [tampered] }), body)
    }),
    { numRuns: 150, seed: 11 },
  )
})

test("a presigned request is believed until it expires", async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPlain, async (arbitrary) => {
      const { request, body } = await signed({ ...arbitrary, method: "GET" }, { presignSeconds: 900 })
      assert.deepEqual(await verify(request, body), caller)
      await refusedWith("AuthFailure", { ...request, query: `${request.query}&more=1` }, body)
    }),
    { numRuns: 50, seed: 12 },
  )
  const old = await signed(plain, { presignSeconds: 60, signedAtMs: nowMs - 61_000 })
  await refusedWith("RequestExpired", old.request, old.body)
})

function withHeaders(request: SignedRequest, headers: Headers): SignedRequest {
  return { ...request, headers: { ...request.headers, ...headers } }
}

test("an unknown key, a wrong secret and an inactive key are told as each protocol tells them", async () => {
  const refusals = [
    [{ accessKeyId: "AKIDNOBODY" }, "AuthFailure", "InvalidClientTokenId"],
    [{ secret: "wrong" }, "AuthFailure", "SignatureDoesNotMatch"],
    [{ accessKeyId: "AKIDINACTIVE" }, "AuthFailure", "InvalidClientTokenId"],
  ] as const
  for (const [how, ec2, sts] of refusals) {
    const { request, body } = await signed(plain, how)
    await refusedWith(ec2, request, body, "ec2Query")
    await refusedWith(sts, request, body, "awsQuery")
  }
})

test("a signature is good for 15 minutes in both directions", async () => {
  for (const [offsetMs, good] of [
    [0, true],
    [-899_000, true],
    [899_000, true],
    [-901_000, false],
    [901_000, false],
  ] as const) {
    const { request, body } = await signed(plain, { signedAtMs: nowMs + offsetMs })
    if (good) assert.deepEqual(await verify(request, body), caller)
    else {
      await refusedWith("RequestExpired", request, body, "ec2Query")
      await refusedWith("SignatureDoesNotMatch", request, body, "awsQuery")
    }
  }
})

test("a secret that was replaced under its id stops working, although its signing key was kept", async () => {
  const store = new Map([["AKIDEXAMPLE", { secretAccessKey, caller, active: true }]])
  const check = createVerifier({ secrets: (id) => Promise.resolve(store.get(id)), clock: { wallMs: () => nowMs } })
  const { request, body } = await signed(plain)
  const claim = readClaim(request, "ec2Query")
  assert.ok(claim)
  assert.equal(await check(request, claim, body, "ec2Query"), caller)
  store.set("AKIDEXAMPLE", { secretAccessKey: "another", caller, active: true })
  await assert.rejects(check(request, claim, body, "ec2Query"), { code: "AuthFailure" })
})

test("a declared body hash must be the body's, signed or not", async () => {
  const { request, body } = await signed(plain)
  const { "x-amz-content-sha256": _, ...headers } = request.headers
  const wrong = { ...request, headers: { ...headers, "x-amz-content-sha256": ["0".repeat(64)] } }
  await refusedWith("AuthFailure", wrong, body)
})

test("claims that are not complete are refused before any key is looked up", async () => {
  const { request, body } = await signed(plain)
  const good = request.headers.authorization?.[0] ?? ""
  const refused = async (authorization: string[], code = "IncompleteSignature"): Promise<unknown> =>
    refusedWith(code, withHeaders(request, { authorization }), body)
  await refused([good, good])
  await refused(["Basic dXNlcjpwYXNz"])
  await refused(["AWS AKIDEXAMPLE:c2lnbmF0dXJl"])
  await refused(["AWS4-HMAC-SHA256"])
  await refused([good.replace(/, Signature=.*/, "")])
  await refused([`${good}, Signature=${"0".repeat(64)}`])
  await refused([good.replace("SignedHeaders=", "SignedHeader=")])
  await refused([good.replace(/host;/, "")])
  await refused([good.replace(/host;/, "HOST;host;")])
  await refused([good.replace(/Signature=[0-9a-f]+/, "Signature=xyz")])
  await refused([good.replace("aws4_request", "aws4")])
  await refused([good.replace("AKIDEXAMPLE/", "AKID/EXAMPLE/")])
  await refused([good.replace("/us-east-1/", "/nowhere/")], "AuthFailure")
  await refused([good.replace("/20260102/", "/20260103/")], "AuthFailure")
  await refusedWith("IncompleteSignature", withHeaders(request, { "x-amz-date": ["yesterday"] }), body)
  await refusedWith(
    "IncompleteSignature",
    withHeaders(request, { "x-amz-date": ["20260102T030405Z", "20260102T030405Z"] }),
    body,
  )
  assert.equal(readClaim({ ...request, headers: { host: ["localhost"] } }, "ec2Query"), undefined)
})

test("odd white space in Authorization is read as AWS reads it", async () => {
  const { request, body } = await signed(plain)
  const good = request.headers.authorization?.[0] ?? ""
  for (const odd of [
    good.replaceAll(", ", ","),
    good.replaceAll(", ", " ,  "),
    `  ${good}\t`,
    good.replace(" ", "   "),
  ]) {
    assert.deepEqual(await verify(withHeaders(request, { authorization: [odd] }), body), caller)
  }
})

test("a signed header that came twice counts with both values", async () => {
  const { request, body } = await signed({ ...plain, headers: { "x-twice": "a,b" } })
  assert.deepEqual(await verify(withHeaders(request, { "x-twice": ["a", " b "] }), body), caller)
  await refusedWith("AuthFailure", withHeaders(request, { "x-twice": ["a"] }), body)
  await refusedWith("AuthFailure", withHeaders(request, { "x-twice": undefined }), body)
})

test("the Date header counts when there is no X-Amz-Date", async () => {
  const date = "Fri, 02 Jan 2026 03:04:05 GMT"
  const emptyHash = createHash("sha256").digest("hex")
  const canonical = `GET\n/\n\ndate:${date}\nhost:localhost\n\ndate;host\n${emptyHash}`
  const scope = "20260102/us-east-1/ec2/aws4_request"
  const text = `AWS4-HMAC-SHA256\n20260102T030405Z\n${scope}\n${createHash("sha256").update(canonical).digest("hex")}`
  const key = scope
    .split("/")
    .reduce<string | Buffer>((k, part) => createHmac("sha256", k).update(part).digest(), `AWS4${secretAccessKey}`)
  const signature = createHmac("sha256", key).update(text).digest("hex")
  const authorization = `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=date;host, Signature=${signature}`
  const headers = { host: ["localhost"], date: [date], authorization: [authorization] }
  assert.deepEqual(await verify({ method: "GET", path: "/", query: "", headers }, Buffer.alloc(0)), caller)
})

test("no text makes reading a claim fail otherwise than with a Fault", () => {
  const pieces = fc.constantFrom(
    "AWS4-HMAC-SHA256",
    " ",
    ",",
    "Credential=",
    "SignedHeaders=",
    "Signature=",
    "/",
    ";",
    "host",
    "a".repeat(64),
    "\t",
    "=",
    "%",
  )
  const text = fc.array(fc.oneof(pieces, fc.string()), { maxLength: 12 }).map((parts) => parts.join(""))
  fc.assert(
    fc.property(text, text, (authorization, query) => {
      try {
        readClaim(
          { method: "GET", path: "/", query: `X-Amz-Algorithm=${query}`, headers: { authorization: [authorization] } },
          "awsQuery",
        )
        readClaim(
          { method: "GET", path: "/", query: `X-Amz-Algorithm=AWS4-HMAC-SHA256&${query}`, headers: {} },
          "awsQuery",
        )
      } catch (error) {
        assert.ok(error instanceof Fault)
      }
    }),
    { numRuns: 500, seed: 13 },
  )
})
