/** Believes a claim or refuses it. Neither answers nor time tell a stranger which access keys exist. */
import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto"
import type { Clock } from "#lib/clock.ts"
import type { Caller, Protocol, SecretSource } from "../types.ts"
import { canonicalRequest } from "./canonical.ts"
import type { Claim, SignedRequest } from "./claim.ts"
import { refusal } from "./refusals.ts"

/** EC2's own documentation of RequestExpired: 15 minutes in both directions. */
const windowMs = 15 * 60 * 1000

export interface VerifierOptions {
  readonly secrets: SecretSource
  readonly clock: Pick<Clock, "wallMs">
  /** Signing keys kept, one per access key, day, region and service. 1,000 unless told. */
  readonly keysKept?: number
}

/** Gives who signed; throws the protocol's Fault. */
export type Verifier = (request: SignedRequest, claim: Claim, body: Uint8Array, protocol: Protocol) => Promise<Caller>

export function createVerifier({ secrets, clock, keysKept = 1000 }: VerifierOptions): Verifier {
  const keys = signingKeys(keysKept)
  // Signatures of unknown keys are checked too, against a secret that nobody has.
  const nobody = randomBytes(30).toString("base64")
  return async (request, claim, body, protocol) => {
    const bodyHash = hash("sha256", body, "hex")
    refuseOutOfTime(claim, clock.wallMs(), protocol)
    const secret = await secrets(claim.accessKeyId)
    const canonical = canonicalRequest(request, claim, bodyHash)
    const scope = `${claim.day}/${claim.region}/${claim.service}/aws4_request`
    const toSign = `AWS4-HMAC-SHA256\n${claim.timestamp}\n${scope}\n${hash("sha256", canonical ?? "", "hex")}`
    const found = secret && keys.find(claim, secret.secretAccessKey)
    const key = found ?? deriveKey(claim, secret?.secretAccessKey ?? nobody)
    const expected = createHmac("sha256", key).update(toSign).digest()
    const equal = timingSafeEqual(expected, Buffer.from(claim.signature, "hex"))
    const declared = request.headers["x-amz-content-sha256"]?.[0]
    if (!secret || !equal || canonical === undefined || (declared !== undefined && declared !== bodyHash)) {
      // A key that was found ready took less time than one derived: make up for it before saying no.
      if (found) deriveKey(claim, nobody)
      throw refusal(secret ? "mismatch" : "unknownKey", protocol)
    }
    // Keys here are permanent ones: a session token beside one was made for another key.
    if (!secret.active || request.headers["x-amz-security-token"]) throw refusal("unknownKey", protocol)
    if (!found) keys.keep(claim, secret.secretAccessKey, key)
    return secret.caller
  }
}

function refuseOutOfTime(claim: Claim, nowMs: number, protocol: Protocol): void {
  const lifeMs = claim.expiresMs ?? windowMs
  if (nowMs > claim.signedAtMs + lifeMs) {
    throw refusal("expired", protocol, `${claim.timestamp} is too long ago (${lifeMs / 60_000} min.)`)
  }
  if (nowMs < claim.signedAtMs - windowMs) {
    throw refusal("notYet", protocol, `${claim.timestamp} is still later than now (15 min.)`)
  }
}

function deriveKey(claim: Claim, secret: string): Buffer {
  return sign(sign(sign(sign(`AWS4${secret}`, claim.day), claim.region), claim.service), "aws4_request")
}

function sign(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest()
}

interface SigningKeys {
  /** A key made before for the same secret. */
  find(claim: Claim, secret: string): Buffer | undefined
  keep(claim: Claim, secret: string, key: Buffer): void
}

function nameOf(claim: Claim): string {
  return `${claim.accessKeyId}/${claim.day}/${claim.region}/${claim.service}`
}

/** The keys last used, `limit` of them. Only proven claims get in, so that strangers cannot push others out. */
function signingKeys(limit: number): SigningKeys {
  const cache = new Map<string, { readonly secret: string; readonly key: Buffer }>()
  return {
    find(claim, secret) {
      const found = cache.get(nameOf(claim))
      return found?.secret === secret ? found.key : undefined
    },
    keep(claim, secret, key) {
      const name = nameOf(claim)
      cache.delete(name)
      cache.set(name, { secret, key })
      if (cache.size > limit) cache.delete(cache.keys().next().value ?? "")
    },
  }
}
