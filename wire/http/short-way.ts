/**
 * The short way of a request whose answer is at hand: everything that decides about it is looked at in the same order as on the
 * long way (`call.ts`), but in one go, without waiting. Whatever is not plainly fine is left to the long way, which alone refuses.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { type Claim, readClaim, type SignedRequest } from "../signature/claim.ts"
import { sendAgain } from "./answer.ts"
import { answerKey, maxKeyedBytes } from "./answer-cache.ts"
import { type CallContext, origin, refuseShape } from "./call.ts"
import type { LateBodies } from "./late-bodies.ts"

/** Whether it is worth reading the body first: a short form for the root, at a time when answers are kept. */
export function mayAnswerAgain(request: IncomingMessage, { answers, revision }: CallContext): boolean {
  const length = Number(request.headers["content-length"])
  return (
    request.method === "POST" && request.url === "/" && length > 0 && length <= maxKeyedBytes && answers.has(revision())
  )
}

/** Calls back once, later: with the whole body, or with undefined when the client went away before. `lateBodies` hears of one that is not there yet. */
export function readSmallBody(
  request: IncomingMessage,
  lateBodies: LateBodies,
  then: (body: Buffer | undefined) => void,
): void {
  // By then whatever came along with the head is parsed. A body that is all there is taken in one go: listening for its pieces takes longer.
  setImmediate(() => {
    if (!request.complete) gather(request, lateBodies, then)
    else then(request.destroyed ? undefined : (request.read() ?? Buffer.alloc(0)))
  })
}

function gather(request: IncomingMessage, lateBodies: LateBodies, then: (body: Buffer | undefined) => void): void {
  const begun = lateBodies.begin(request)
  let body: Buffer | undefined
  let isDone = false
  const finish = (whole: Buffer | undefined): void => {
    if (isDone) return
    isDone = true
    lateBodies.done(begun)
    then(whole)
  }
  request.on("data", (chunk: Buffer) => (body = body ? Buffer.concat([body, chunk]) : chunk))
  request.on("end", () => finish(body))
  // Comes after "end" too, and does not come again when it came already.
  request.on("close", () => finish(undefined))
  if (request.destroyed) finish(undefined)
}

/** Sends the answer that is kept for this request, if there is one and the request is in order; false when nothing was done. */
export function answerAgain(
  request: IncomingMessage,
  response: ServerResponse,
  signed: SignedRequest,
  requestId: string,
  body: Buffer,
  context: CallContext,
): boolean {
  const claim = claimInOrder(request, signed)
  const caller = claim && (context.everybody ?? context.verify.atOnce(signed, claim, body))
  const revision = context.revision()
  const key = claim && caller && answerKey(caller, claim.service, claim.region, signed.query, body)
  const kept = key && revision !== undefined && context.answers.find(key, revision)
  // Long answers wait for their reader.
  if (!kept || kept.rest.length > 0) return false
  const startMs = context.clock.monotonicMs()
  const bytes = sendAgain(response, requestId, kept.before + requestId, kept.after)
  const ms = context.clock.monotonicMs() - startMs
  if (context.onCall) {
    const { service, region } = claim
    const { sourceAddress, userAgent } = origin(request)
    const { operation } = kept
    // Written out: two spreads cost more than all else that is done for the record of a call.
    context.onCall({
      requestId,
      service,
      operation,
      status: 200,
      code: "",
      message: "",
      ms,
      bytes,
      caller,
      region,
      sourceAddress,
      userAgent,
    })
  }
  return true
}

function claimInOrder(request: IncomingMessage, signed: SignedRequest): Claim | undefined {
  try {
    refuseShape(request, signed)
    return readClaim(signed, "ec2Query")
  } catch {
    return undefined
  }
}
