/** The bodies of S3's requests: how they are signed, and read as they come. */
import { createHash } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { Fault } from "#lib/fault.ts"
import { readChunks } from "../signature/chunks.ts"
import { type Claim, firstOf, type SignedRequest } from "../signature/claim.ts"
import type { HmacKey } from "../signature/hmac.ts"
import type { StreamBody } from "../types.ts"
import { ClientGone } from "./body.ts"

const unsigned = "UNSIGNED-PAYLOAD"

/** What stands for the body in the canonical request. Throws InvalidRequest where a header says nothing of it. */
export function payloadOf(signed: SignedRequest, claim: Claim | undefined): string {
  const said = firstOf(signed.headers, "x-amz-content-sha256")
  if (said !== undefined) return said
  if (claim?.expiresMs !== undefined || !claim) return unsigned
  throw new Fault("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
}

/**
 * The body as it comes: out of its chunks, held to what was signed. It throws, before its end, when it is not what was signed, longer than
 * announced, or cut off.
 */
export function streamBody(
  request: IncomingMessage,
  payload: string,
  signed: { readonly key: HmacKey; readonly claim: Claim } | undefined,
  options: { readonly signal: AbortSignal; readonly progress: () => void },
): StreamBody {
  const trailers = new Map<string, string>()
  const bytes = received(request, options)
  const inner = payload.startsWith("STREAMING-")
    ? readChunks(bytes, {
        signed: payload.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") ? signed : undefined,
        onTrailers: (found) => found.forEach((value, name) => trailers.set(name, value)),
      })
    : hashed(bytes, payload)
  const names = request.headers["x-amz-trailer"]
  return {
    [Symbol.asyncIterator]: () => inner[Symbol.asyncIterator](),
    trailers,
    trailerNames: typeof names === "string" ? names.toLowerCase().split(/\s*,\s*/) : [],
    sizeBytes: announced(request, payload),
  }
}

/** How long the content is, where the request says so. */
function announced({ headers }: IncomingMessage, payload: string): number | undefined {
  const text = payload.startsWith("STREAMING-") ? headers["x-amz-decoded-content-length"] : headers["content-length"]
  if (typeof text !== "string" || !/^\d{1,15}$/.test(text))
    return headers["transfer-encoding"] === undefined ? 0 : undefined
  return Number(text)
}

async function* received(
  request: IncomingMessage,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: () => void },
): AsyncGenerator<Uint8Array> {
  const stop = (): void => void request.destroy()
  signal.addEventListener("abort", stop, { once: true })
  try {
    // Left early, for an answer that refuses the rest, the connection has to stay.
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      signal.throwIfAborted()
      progress()
      yield piece as Uint8Array
    }
    if (!request.complete) throw new ClientGone("the connection broke")
  } catch (error) {
    throw signal.aborted ? signal.reason : error instanceof Fault ? error : new ClientGone(String(error))
  } finally {
    signal.removeEventListener("abort", stop)
  }
}

async function* hashed(source: AsyncIterable<Uint8Array>, payload: string): AsyncGenerator<Uint8Array> {
  if (payload === unsigned) {
    yield* source
    return
  }
  if (!/^[0-9a-f]{64}$/.test(payload))
    throw new Fault(
      "InvalidArgument",
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-..., or a valid sha256 value.",
    )
  const sum = createHash("sha256")
  for await (const piece of source) {
    sum.update(piece)
    yield piece
  }
  if (sum.digest("hex") !== payload)
    throw new Fault(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
}
