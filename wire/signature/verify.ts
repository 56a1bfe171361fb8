/** Believes a claim or refuses it. Neither answers nor time tell a stranger which access keys exist. */
import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto"
import type { Clock } from "#lib/clock.ts"
import type { Caller, Protocol, Secret, SecretSource } from "../types.ts"
import { canonicalRequest } from "./canonical.ts"
import { type Claim, firstOf, type SignedRequest } from "./claim.ts"
import { type HmacKey, hmacHex, hmacKey } from "./hmac.ts"
import { refusal } from "./refusals.ts"

/** EC2's own documentation of RequestExpired: 15 minutes in both directions. */
const windowMs = 15 * 60 * 1000

export interface VerifierOptions {
  readonly secrets: SecretSource
  readonly clock: Pick<Clock, "wallMs">
  /** Rises with every change of the secrets, undefined while one is under way; without it every request looks its secret up. */
  readonly revision?: () => number | undefined
  /** Signing keys kept, one per access key, day, region and service. 1,000 unless told. */
  readonly keysKept?: number
}

/** What of a body was signed, where that is not the hash of all of it: S3's "UNSIGNED-PAYLOAD", or the hash that a stream will be held to. */
export interface SignedPayload {
  readonly payload: string
}

export interface Verifier {
  /** Gives who signed; throws the protocol's Fault. */
  (request: SignedRequest, claim: Claim, body: Uint8Array | SignedPayload, protocol: Protocol): Promise<Caller>
  /** The key of a claim that was just believed, for what is signed after it: the chunks of a body. */
  readonly keyOf: (claim: Claim) => HmacKey | undefined
  /**
   * Gives who signed when that can be said at once: the key is at hand and no secret has changed since it was looked up.
   * Undefined, after the same work, says nothing: ask the other way.
   */
  readonly atOnce: (request: SignedRequest, claim: Claim, body: Uint8Array) => Caller | undefined
}

export function createVerifier(options: VerifierOptions): Verifier {
  const { secrets, clock, revision = () => undefined, keysKept = 1000 } = options
  const keys = signingKeys(keysKept)
  // Signatures of unknown keys are checked too, against a secret that nobody has.
  const nobody = randomBytes(30).toString("base64")
  const nobodyKey = hmacKey(randomBytes(32))

  const verify = async (request: SignedRequest, claim: Claim, body: Uint8Array | SignedPayload, protocol: Protocol) => {
    refuseOutOfTime(claim, clock.wallMs(), protocol)
    const before = revision()
    const secret = await secrets(claim.accessKeyId)
    const found = secret && keys.find(claim)
    const ready = found?.secret.secretAccessKey === secret?.secretAccessKey ? found?.key : undefined
    const key = ready ?? deriveKey(claim, secret?.secretAccessKey ?? nobody)
    if (!isSigned(request, claim, body, key, protocol === "restXml") || !secret) {
      // A key that was found ready took less time than one derived: make up for it before saying no.
      if (ready) deriveKey(claim, nobody)
      throw refusal(secret ? "mismatch" : "unknownKey", protocol)
    }
    // Keys here are permanent ones: a session token beside one was made for another key.
    if (!secret.active) throw refusal("unknownKey", protocol)
    if (hasToken(request, claim)) throw refusal("token", protocol)
    const lookedUpAt = before === revision() ? before : undefined
    if (!ready || found?.lookedUpAt !== lookedUpAt) keys.keep(claim, { secret, key, lookedUpAt })
    return secret.caller
  }

  const atOnce = (request: SignedRequest, claim: Claim, body: Uint8Array): Caller | undefined => {
    const now = revision()
    const found = keys.find(claim)
    const usable = found && now !== undefined && found.lookedUpAt === now ? found : undefined
    // The same work for keys that are not at hand, or the time would tell which ones are in use.
    const equal = isSigned(request, claim, body, usable?.key ?? nobodyKey)
    const isTimely = timeliness(claim, clock.wallMs()) === undefined
    return usable && equal && isTimely && !hasToken(request, claim) ? usable.secret.caller : undefined
  }
  return Object.assign(verify, { atOnce, keyOf: (claim: Claim) => keys.find(claim)?.key })
}

const hasToken = ({ headers, query }: SignedRequest, { expiresMs }: Claim): boolean =>
  Boolean(headers["x-amz-security-token"]) || (expiresMs !== undefined && query.includes("X-Amz-Security-Token="))

// Pollers send the same few bodies all day: the hash of a short one is remembered with it.
const bodyHashes = new Map<string, string>()
const rememberedBodies = 1000
const rememberedBytes = 512

/** In hex. */
function bodyHashOf(body: Uint8Array): string {
  if (body.length > rememberedBytes) return hash("sha256", body, "hex")
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1")
  const known = bodyHashes.get(bytes)
  if (known !== undefined) return known
  if (bodyHashes.size >= rememberedBodies) bodyHashes.clear()
  const made = hash("sha256", body, "hex")
  bodyHashes.set(bytes, made)
  return made
}

const expected = Buffer.alloc(64)
const claimed = Buffer.alloc(64)

/** Whether the request carries the signature that this key gives it, compared in constant time. */
function isSigned(
  request: SignedRequest,
  claim: Claim,
  body: Uint8Array | SignedPayload,
  key: HmacKey,
  asItIs = false,
): boolean {
  const bodyHash = body instanceof Uint8Array ? bodyHashOf(body) : body.payload
  const canonical = canonicalRequest(request, claim, bodyHash, asItIs)
  const toSign = `AWS4-HMAC-SHA256\n${claim.timestamp}\n${claim.scope}\n${hash("sha256", canonical ?? "", "hex")}`
  // Both are 64 characters: a claim with another signature was not read.
  expected.write(hmacHex(key, toSign), "latin1")
  claimed.write(claim.signature, "latin1")
  const equal = timingSafeEqual(expected, claimed)
  const declared = firstOf(request.headers, "x-amz-content-sha256")
  return equal && canonical !== undefined && (declared === undefined || declared === bodyHash)
}

function timeliness(claim: Claim, nowMs: number): "expired" | "notYet" | undefined {
  if (nowMs > claim.signedAtMs + (claim.expiresMs ?? windowMs)) return "expired"
  return nowMs < claim.signedAtMs - windowMs ? "notYet" : undefined
}

function refuseOutOfTime(claim: Claim, nowMs: number, protocol: Protocol): void {
  const late = timeliness(claim, nowMs)
  const lifeMs = claim.expiresMs ?? windowMs
  if (late === "expired") {
    const reason = claim.expiresMs === undefined ? "expired" : "presignedExpired"
    throw refusal(reason, protocol, `${claim.timestamp} is too long ago (${lifeMs / 60_000} min.)`)
  }
  if (late === "notYet") throw refusal("notYet", protocol, `${claim.timestamp} is still later than now (15 min.)`)
}

function deriveKey(claim: Claim, secret: string): HmacKey {
  return hmacKey(sign(sign(sign(sign(`AWS4${secret}`, claim.day), claim.region), claim.service), "aws4_request"))
}

function sign(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest()
}

interface SigningKeys {
  find(claim: Claim): KeptKey | undefined
  keep(claim: Claim, kept: KeptKey): void
}

interface KeptKey {
  /** What the key was made of; was active. */
  readonly secret: Secret
  readonly key: HmacKey
  /** The revision at which the secret was looked up last, if it was known. */
  readonly lookedUpAt: number | undefined
}

/** The keys last used, `limit` of them. Only proven claims get in, so that strangers cannot push others out. */
function signingKeys(limit: number): SigningKeys {
  const cache = new Map<string, KeptKey>()
  return {
    find: (claim) => cache.get(claim.credential),
    keep({ credential }, kept) {
      cache.delete(credential)
      cache.set(credential, kept)
      if (cache.size > limit) cache.delete(cache.keys().next().value ?? "")
    },
  }
}
