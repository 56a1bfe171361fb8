/** Signatures that are not right in one way each, over the wire, and what each group of services says: EC2, other query, JSON, S3. */
import { Sha256 } from "@smithy/core/checksum"
import { SignatureV4 } from "@smithy/signature-v4"
import assert from "node:assert/strict"
import { hash } from "node:crypto"
import { after, before, test } from "node:test"
import { type SimDaemon, startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient, type RawRequest } from "./client.ts"
import { findAll, parseXml } from "./xml.ts"

let daemon: SimDaemon
let client: Client
before(async () => {
  daemon = await startSimDaemon()
  client = createClient(daemon.endpoint)
})
after(async () => {
  client.close()
  await daemon.stop()
})

const groups = ["ec2", "sts", "ssm", "s3"] as const
type Group = (typeof groups)[number]

interface Signing {
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly sessionToken?: string
  readonly region?: string
  readonly service?: string
  readonly atMs?: number
  /** Seconds for which it is presigned. */
  readonly presign?: number
  /** Changes what is sent after it was signed. */
  readonly after?: (request: RawRequest) => RawRequest
}

const form = { "content-type": "application/x-www-form-urlencoded" }
const plainOf: Readonly<Record<Group, RawRequest>> = {
  ec2: { headers: form, body: "Action=DescribeVpcs&Version=2016-11-15" },
  sts: { headers: form, body: "Action=GetCallerIdentity&Version=2011-06-15" },
  ssm: {
    headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.DescribeParameters" },
    body: "{}",
  },
  s3: { method: "GET", path: "/" },
}

async function signed(group: Group, signing: Signing): Promise<RawRequest> {
  const { method = "POST", path = "/", headers = {}, body = "" } = plainOf[group]
  const { hostname, host } = new URL(daemon.endpoint)
  const { accessKeyId, secretAccessKey } = { ...daemon.credentials, ...signing }
  const signer = new SignatureV4({
    service: signing.service ?? group,
    region: signing.region ?? "us-east-1",
    sha256: Sha256,
    credentials: { accessKeyId, secretAccessKey, ...(signing.sessionToken && { sessionToken: signing.sessionToken }) },
    uriEscapePath: group !== "s3",
  })
  const isPresigned = signing.presign !== undefined
  // What is presigned goes out as a GET whose parameters are in the query.
  const query = isPresigned ? Object.fromEntries(new URLSearchParams(headers === form ? String(body) : "")) : {}
  const request = {
    method: isPresigned ? "GET" : method,
    protocol: "http:",
    hostname,
    path,
    query,
    headers: { host, ...(isPresigned ? {} : headers), ...(group === "s3" ? hashOf(isPresigned) : {}) },
    ...(isPresigned ? {} : { body }),
  }
  const signingDate = new Date(signing.atMs ?? Date.now())
  const made = isPresigned
    ? await signer.presign(request, { signingDate, expiresIn: signing.presign ?? 60 })
    : await signer.sign(request, { signingDate })
  const text = new URLSearchParams(made.query as Record<string, string>).toString().replaceAll("+", "%20")
  return {
    method: made.method,
    path: text === "" ? path : `${path}?${text}`,
    headers: made.headers,
    body: isPresigned ? "" : body,
  }
}
const hashOf = (isPresigned: boolean) => ({
  "x-amz-content-sha256": isPresigned ? "UNSIGNED-PAYLOAD" : hash("sha256", "", "hex"),
})

/** "403 SignatureDoesNotMatch", "200". */
async function said(group: Group, signing: Signing): Promise<string> {
  const request = await signed(group, signing)
  const { status, body, headers } = await client.send(signing.after?.(request) ?? request)
  if (status === 200) return "200"
  const isJson = String(headers["content-type"]).includes("json")
  const code = isJson ? (Reflect.get(JSON.parse(body), "__type") as string) : findAll(parseXml(body), "Code")[0]?.text
  return `${status} ${code}`
}

const minute = 60_000
const replaced = (from: string, to: string) => (request: RawRequest) => ({
  ...request,
  headers: { ...request.headers, authorization: String(request.headers?.["authorization"]).replace(from, to) },
})
const without = (name: string) => (request: RawRequest) => {
  const { [name]: _, ...headers } = request.headers ?? {}
  return { ...request, headers }
}
const incomplete = ["400 IncompleteSignature", "400 IncompleteSignature", "400 IncompleteSignatureException"] as const
const malformed = "400 AuthorizationHeaderMalformed"
const unknown = ["401 AuthFailure", "403 InvalidClientTokenId", "400 UnrecognizedClientException"] as const
const mismatch = ["401 AuthFailure", "403 SignatureDoesNotMatch", "400 InvalidSignatureException"] as const
const late = ["400 RequestExpired", "403 SignatureDoesNotMatch", "400 InvalidSignatureException"] as const

/** What is wrong -> the answers of EC2, STS, Systems Manager and S3. */
const rows: readonly (readonly [what: string, signing: Signing, answers: readonly string[]])[] = [
  ["nothing", {}, ["200", "200", "200", "200"]],
  ["an unknown key", { accessKeyId: "AKIAAAAAAAAAAAAAAAAA" }, [...unknown, "403 InvalidAccessKeyId"]],
  ["a wrong secret", { secretAccessKey: "x".repeat(40) }, [...mismatch, "403 SignatureDoesNotMatch"]],
  ["a token beside a permanent key", { sessionToken: "FwoGZXIvYXdzEA" }, [...unknown, "400 InvalidToken"]],
  ["10 minutes ago", { atMs: Date.now() - 10 * minute }, ["200", "200", "200", "200"]],
  ["16 minutes ago", { atMs: Date.now() - 16 * minute }, [...late, "403 RequestTimeTooSkewed"]],
  ["in 16 minutes", { atMs: Date.now() + 16 * minute }, [...late, "403 RequestTimeTooSkewed"]],
  ["a region that there is not", { region: "us-east-9" }, [...mismatch, malformed]],
  ["a region that cannot be", { region: "moon-1" }, [...mismatch, malformed]],
  [
    "another region in the scope",
    { after: replaced("/us-east-1/", "/eu-west-1/") },
    [...mismatch, "403 SignatureDoesNotMatch"],
  ],
  ["no date", { after: without("x-amz-date") }, [...incomplete, "403 AccessDenied"]],
  ["another algorithm", { after: replaced("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1") }, [...incomplete, malformed]],
  [
    "no Authorization",
    { after: (request) => ({ ...without("authorization")(request), path: request.method === "GET" ? "/any" : "/" }) },
    [
      "403 MissingAuthenticationToken",
      "403 MissingAuthenticationToken",
      "400 MissingAuthenticationTokenException",
      "403 AccessDenied",
    ],
  ],
]

for (const [what, signing, answers] of rows)
  test(`a request with ${what}`, async () => {
    const found = await Promise.all(groups.map((group) => said(group, signing)))
    assert.deepEqual(found, answers)
  })

test("presigned requests: of a GET's parameters, in time, late, for too long, with a token", async () => {
  const hour = 3600
  const presigned = (signing: Signing) =>
    Promise.all((["ec2", "sts", "s3"] as const).map((group) => said(group, { presign: hour, ...signing })))
  assert.deepEqual(await presigned({}), ["200", "200", "200"])
  assert.deepEqual(await presigned({ atMs: Date.now() - 59 * minute }), ["200", "200", "200"])
  assert.deepEqual(await presigned({ atMs: Date.now() - 61 * minute }), [
    "400 RequestExpired",
    "403 SignatureDoesNotMatch",
    "403 AccessDenied",
  ])
  assert.deepEqual(await presigned({ sessionToken: "FwoGZXIvYXdzEA" }), [
    "401 AuthFailure",
    "403 InvalidClientTokenId",
    "400 InvalidToken",
  ])
  const later = (request: RawRequest) => ({
    ...request,
    path: String(request.path).replace("X-Amz-Expires=3600", "X-Amz-Expires=604801"),
  })
  assert.deepEqual(await presigned({ after: later }), [
    "400 IncompleteSignature",
    "400 IncompleteSignature",
    "400 AuthorizationQueryParametersError",
  ])
})
