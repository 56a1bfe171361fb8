/**
 * Signature Version 2 in a query: what boto3 and the AWS CLI v1 still presign for S3 when nobody tells them otherwise. For S3's presigned
 * requests alone. https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import type { Clock } from "#lib/clock.ts"
import { bucketOf } from "../protocols/bucket.ts"
import type { Caller, SecretSource } from "../types.ts"
import { firstOf, type SignedRequest } from "./claim.ts"
import { refusal } from "./refusals.ts"

/** What a request says of its signature; undefined for one that carries none of this kind. */
interface Claim2 {
  readonly accessKeyId: string
  readonly signature: string
  /** Seconds since the epoch. */
  readonly expires: string
}

export interface Version2 {
  /** Gives who signed and the request without its signature; undefined for a request that says nothing of one. Throws S3's refusals. */
  (request: SignedRequest): Promise<{ readonly caller: Caller; readonly request: SignedRequest } | undefined>
}

const ours = /^(?:AWSAccessKeyId|Signature|Expires)=/

export function createVersion2({
  secrets,
  clock,
}: {
  readonly secrets: SecretSource
  readonly clock: Pick<Clock, "wallMs">
}): Version2 {
  const nobody = randomBytes(30).toString("base64")
  return async (request) => {
    const claim = readClaim2(request.query)
    if (!claim) return undefined
    const secret = await secrets(claim.accessKeyId)
    const expected = createHmac("sha1", secret?.secretAccessKey ?? nobody)
      .update(textToSign(request, claim))
      .digest()
    const given = Buffer.from(claim.signature, "base64")
    const isSigned = given.length === expected.length && timingSafeEqual(given, expected)
    if (!secret?.active) throw refusal("unknownKey", "restXml")
    if (!isSigned) throw refusal("mismatch", "restXml")
    if (!/^\d{1,12}$/.test(claim.expires))
      throw refusal("incomplete", "restXml", "Expires must be seconds since the epoch")
    if (clock.wallMs() > Number(claim.expires) * 1000) throw refusal("presignedExpired", "restXml")
    const query = request.query.split("&").filter((pair) => !ours.test(pair))
    return { caller: secret.caller, request: { ...request, query: query.join("&") } }
  }
}

function readClaim2(query: string): Claim2 | undefined {
  if (!query.includes("AWSAccessKeyId=")) return undefined
  const found = new Map<string, string>()
  for (const pair of query.split("&")) {
    if (!ours.test(pair)) continue
    const name = pair.slice(0, pair.indexOf("="))
    if (found.has(name)) throw refusal("incomplete", "restXml", "a parameter of the signature is given twice")
    found.set(name, decoded(pair.slice(name.length + 1)))
  }
  const [accessKeyId, signature, expires] = ["AWSAccessKeyId", "Signature", "Expires"].map((name) => found.get(name))
  if (!accessKeyId || !signature || !expires || !/^\w{3,128}$/.test(accessKeyId))
    throw refusal("incomplete", "restXml", "AWSAccessKeyId, Signature and Expires belong together")
  return { accessKeyId, signature, expires }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw refusal("incomplete", "restXml", "the query is badly encoded")
  }
}

/** Parameters that name a part of a resource and so are signed with it. */
const subresources: ReadonlySet<string> = new Set(
  (
    "accelerate acl analytics cors delete inventory lifecycle location logging metrics notification object-lock partNumber policy replication " +
    "requestPayment response-cache-control response-content-disposition response-content-encoding response-content-language " +
    "response-content-type response-expires restore select select-type storageClass tagging torrent uploadId uploads versionId versioning versions website"
  ).split(" "),
)

function textToSign(request: SignedRequest, { expires }: Claim2): string {
  const header = (name: string) => firstOf(request.headers, name) ?? ""
  const amazon = Object.keys(request.headers)
    .filter((name) => name.startsWith("x-amz-"))
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => `${name}:${[request.headers[name] ?? ""].flat().join(",")}\n`)
  const head = [request.method, header("content-md5"), header("content-type"), expires]
  return `${head.join("\n")}\n${amazon.join("")}${resourceOf(request)}`
}

function resourceOf(request: SignedRequest): string {
  const { hostLabel, path } = bucketOf(request)
  const place = hostLabel !== undefined && path === request.path ? `/${hostLabel}${path}` : request.path
  const parts = request.query
    .split("&")
    .filter((pair) => subresources.has(pair.split("=", 1)[0] ?? ""))
    .map(decoded)
    .toSorted((a, b) => (a < b ? -1 : 1))
  return parts.length === 0 ? place : `${place}?${parts.join("&")}`
}
