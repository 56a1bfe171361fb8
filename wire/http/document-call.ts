/** A call of the document protocols: JSON, CBOR, and the two REST ones. */
import { promisify } from "node:util"
import type { gunzip } from "node:zlib"
import { Fault } from "#lib/fault.ts"
import type { Incoming } from "../protocols/document.ts"
import type { Claim, SignedRequest } from "../signature/claim.ts"
import type { RestProtocol, RpcProtocol } from "../types.ts"
import { sendWhole } from "./answer.ts"
import { readBody, refuseLength } from "./body.ts"
import { authenticate, type Call, type CallContext, type Progress, requestInfo } from "./call.ts"
import type { Service } from "./services.ts"

export async function answerDocument(
  call: Call,
  context: CallContext,
  progress: Progress,
  claim: Claim | undefined,
  { service, protocol }: { readonly service: Service; readonly protocol: RpcProtocol | RestProtocol },
): Promise<number> {
  const { request, response, signed, abort } = call
  if (protocol !== "restJson1" && protocol !== "restXml" && signed.method !== "POST")
    throw new Fault("MethodNotAllowed", "Use POST", 405)
  refuseLength(request, context.limits.bodyBytes)
  if (call.expectsContinue) response.writeContinue()
  const sent = call.body ?? (await readBody(request, context.limits.bodyBytes, abort.signal))
  const caller = await authenticate(context, protocol, signed, claim, sent)
  progress.caller = caller
  const located = await service.locate(signed, protocol)
  progress.operation = located.name
  const { operation, loaded, labels, query } = located
  const body = await decoded(signed, sent, context.limits.bodyBytes)
  const incoming: Incoming = { signed, labels, query, body }
  const input = loaded.handles?.(located.name) === false ? {} : operation.read(incoming)
  abort.signal.throwIfAborted()
  const output = await loaded.dispatch(
    located.name,
    input,
    requestInfo(call, service, located.name, progress.region, caller),
  )
  abort.signal.throwIfAborted()
  const answer = operation.write(output)
  if (!Buffer.isBuffer(answer.body)) throw new TypeError("a stream cannot be sent yet")
  return sendWhole(response, { ...answer, body: answer.body }, call.requestId)
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
