/** A call of the document protocols: JSON, CBOR, and the two REST ones. */
import { promisify } from "node:util"
import type { gunzip } from "node:zlib"
import { Fault } from "#lib/fault.ts"
import type { Incoming } from "../protocols/document.ts"
import type { Claim, SignedRequest } from "../signature/claim.ts"
import { isRest } from "../protocols/kinds.ts"
import { readQuery } from "../protocols/rest-routes.ts"
import type { Caller, Protocol, RestProtocol, RpcProtocol } from "../types.ts"
import { sendStream, sendWhole } from "./answer.ts"
import { readBody, refuseLength } from "./body.ts"
import { authenticate, type Call, type CallContext, type Progress, requestInfo } from "./call.ts"
import type { Located, Service } from "./services.ts"
import { payloadOf, streamBody } from "./stream-body.ts"

type Spoken = { readonly service: Service; readonly protocol: RpcProtocol | RestProtocol }

export async function answerDocument(
  call: Call,
  context: CallContext,
  progress: Progress,
  claim: Claim | undefined,
  spoken: Spoken,
): Promise<number> {
  const { response, signed, abort } = call
  const { service, protocol } = spoken
  if (!isRest(protocol) && signed.method !== "POST") throw new Fault("MethodNotAllowed", "Use POST", 405)
  const asked =
    protocol === "restXml"
      ? await readStorage(call, context, claim, service, protocol)
      : await readDocument(call, context, claim, spoken)
  const { located, body, caller } = asked
  progress.caller = caller
  progress.operation = located.name
  const { operation, loaded, labels, query } = located
  const isDone = loaded.handles?.(located.name) !== false
  const input = isDone ? operation.read({ signed: asked.signed, labels, query, body }) : {}
  abort.signal.throwIfAborted()
  const info = requestInfo(call, service, located.name, progress.region, caller)
  const output = await loaded.dispatch(located.name, input, info)
  abort.signal.throwIfAborted()
  const { status, headers, body: given } = operation.write(output)
  const answer = { status, headers: { ...headers, ...idHeaders(protocol, call.requestId) } }
  if (Buffer.isBuffer(given)) return sendWhole(response, { ...answer, body: given }, call.requestId)
  return sendStream(response, { ...answer, body: given }, call.requestId, abort.signal, call.progress)
}

interface Asked {
  readonly located: Located
  readonly signed: SignedRequest
  readonly body: Incoming["body"]
  readonly caller: Caller
}

/** A call whose body is a document: all of it is read, then believed, then looked at. */
async function readDocument(
  call: Call,
  context: CallContext,
  claim: Claim | undefined,
  { service, protocol }: Spoken,
): Promise<Asked> {
  const { signed } = call
  const sent = await whole(call, context.limits.bodyBytes)
  const caller = await authenticate(context, protocol, signed, claim, sent)
  const located = await service.locate(signed, protocol)
  return { located, signed, body: await decoded(signed, sent, context.limits.bodyBytes), caller }
}

/** 1,000 keys of 1 KB each, or 10,000 parts: S3's largest documents. */
const storageDocumentBytes = 4 * 1024 * 1024

/** A call of S3: what was signed of the body stands in a header, so that the caller is known before the body is read. */
async function readStorage(
  call: Call,
  context: CallContext,
  claim: Claim | undefined,
  service: Service,
  protocol: RestProtocol,
): Promise<Asked> {
  const payload = payloadOf(call.signed, context.everybody ? undefined : claim)
  const older = claim || context.everybody ? undefined : await context.verify2(call.signed)
  const caller = older?.caller ?? (await authenticate(context, protocol, call.signed, claim, { payload }))
  const signed = withHoisted(older?.request ?? call.signed)
  const located = await service.locate(signed, protocol)
  const key = claim && !context.everybody ? context.verify.keyOf(claim) : undefined
  const takesStream = located.operation.takesStream && located.loaded.handles?.(located.name) !== false
  if (!takesStream) refuseLength(call.request, Math.max(storageDocumentBytes, context.limits.bodyBytes))
  if (call.expectsContinue) call.response.writeContinue()
  const stream = streamBody(call.request, payload, key && claim && { key, claim }, {
    signal: call.abort.signal,
    progress: takesStream ? call.progress : () => {},
  })
  return { located, signed, body: takesStream ? stream : await collected(stream), caller }
}

async function collected(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of stream) {
    sizeBytes += part.length
    if (sizeBytes > storageDocumentBytes)
      throw new Fault("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Headers that a presigned request carries in its query. */
function withHoisted(signed: SignedRequest): SignedRequest {
  if (!/(?:^|&)x-amz-/i.test(signed.query)) return signed
  const hoisted = readQuery(signed.query).filter(([name]) => /^x-amz-/i.test(name))
  const headers = Object.fromEntries(hoisted.map(([name, value]) => [name.toLowerCase(), value]))
  const kept = signed.query.split("&").filter((pair) => !/^x-amz-/i.test(pair))
  return { ...signed, query: kept.join("&"), headers: { ...headers, ...signed.headers } }
}

function idHeaders(protocol: Protocol, requestId: string): Readonly<Record<string, string>> {
  return protocol === "restXml" ? { "x-amz-request-id": requestId, "x-amz-id-2": requestId } : {}
}

async function whole(call: Call, limitBytes: number): Promise<Buffer> {
  const { request, response, abort } = call
  refuseLength(request, limitBytes)
  if (call.expectsContinue) response.writeContinue()
  return call.body ?? readBody(request, limitBytes, abort.signal)
}

/** The body as it was before a client pressed it: boto3 does that with the large ones of CloudWatch. */
async function decoded({ headers }: SignedRequest, body: Buffer, limitBytes: number): Promise<Buffer> {
  const encoding = headers["content-encoding"]
  if (encoding === undefined || encoding === "identity") return body
  if (encoding !== "gzip") throw new Fault("UnsupportedMediaType", "The body must not be encoded, save by gzip", 415)
  const { gunzip: unzip }: { gunzip: typeof gunzip } = await import("node:zlib")
  try {
    return await promisify(unzip)(body, { maxOutputLength: limitBytes })
  } catch {
    throw new Fault("SerializationException", `The body is not gzip, or larger than ${limitBytes} bytes`)
  }
}
