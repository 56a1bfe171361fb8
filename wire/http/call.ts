/** One API call: from a request whose Host and Origin are ours to its answer. */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Clock } from "#lib/clock.ts"
import { Fault } from "#lib/fault.ts"
import { type FormNode, parseForm } from "../protocols/form.ts"
import { asFault, errorAnswer, overLimit } from "../protocols/errors.ts"
import { isQuery, protocolOf, saidProtocol } from "../protocols/kinds.ts"
import { canonicalPath } from "../signature/canonical.ts"
import { type Claim, type Headers, readClaim, serviceSaid, type SignedRequest } from "../signature/claim.ts"
import { refusal } from "../signature/refusals.ts"
import type { SignedPayload, Verifier } from "../signature/verify.ts"
import type { Version2 } from "../signature/version2.ts"
import type { Caller, Limits, Protocol, RequestInfo } from "../types.ts"
import { build, discardRest, sendPieces, sendWhole } from "./answer.ts"
import { type AnswerCache, answerKey } from "./answer-cache.ts"
import { bodyText, ClientGone, readBody, refuseLength } from "./body.ts"
import { answerDocument } from "./document-call.ts"
import { isForm as mayBeForm, type Service, type Services } from "./services.ts"

/** What is to be said of a call. Holds no parameter, as those may be secret. */
export interface CallRecord {
  readonly requestId: string
  /** Empty while unknown: a request that was refused before it was read. */
  readonly service: string
  readonly operation: string
  /** 0 when the client went away first. */
  readonly status: number
  /** The error's code, empty when it went well. */
  readonly code: string
  readonly ms: number
  /** Size of the answer's body. */
  readonly bytes: number
  /** Whose call it was; undefined for one that was refused before that was known. */
  readonly caller: Caller | undefined
  readonly region: string
  readonly sourceAddress: string
  readonly userAgent: string
  /** The error's message, empty when it went well. It may repeat what the client sent: for its account only, not for a log. */
  readonly message: string
}

export interface CallContext {
  readonly services: Services
  readonly limits: Limits
  readonly clock: Clock
  readonly verify: Verifier
  readonly verify2: Version2
  /** Set with auth off: who everybody is. */
  readonly everybody: Caller | undefined
  readonly defaultRegion: string
  readonly answers: AnswerCache
  /** As `WireServerOptions.revision`. */
  readonly revision: () => number | undefined
  readonly onCall: ((record: CallRecord) => void) | undefined
  /** Called with what was thrown and is no Fault. */
  readonly log: (message: string, error: unknown) => void
}

export interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly signed: SignedRequest
  readonly requestId: string
  readonly abort: Pick<AbortController, "abort" | "signal">
  /** The client waits for "100 Continue" before it sends its body. */
  readonly expectsContinue: boolean
  /** Set when the server is at its limit: the call is refused. */
  readonly isOverLimit: boolean
  /** A stream goes on: the call's deadline begins anew. */
  readonly progress: () => void
  /** Set when the body was read already. */
  readonly body?: Buffer
}

export interface Progress {
  service: Service | undefined
  /** Whose words are spoken. */
  protocol: Protocol
  operation: string
  caller: Caller | undefined
  region: string
}

/** Answers a call, whatever happens; never rejects. Settles when the answer is sent and the handler has returned. */
export async function runCall(call: Call, context: CallContext): Promise<void> {
  const startMs = context.clock.monotonicMs()
  const said = saidProtocol(call.signed)
  const progress: Progress = {
    service: undefined,
    protocol: said ?? impliedProtocol(call, context),
    operation: "",
    caller: undefined,
    region: context.defaultRegion,
  }
  let status = 200
  let code = ""
  let message = ""
  let bytes = 0
  // Goes on when the deadline answers for it, and writes nothing from then on.
  const work = answer(call, context, progress)
  try {
    bytes = await untilAborted(work, call.abort.signal)
  } catch (thrown) {
    const service = progress.service ?? context.services.guess(call.signed, "")
    const fault = thrown instanceof ClientGone ? undefined : asFault(thrown, progress.protocol)
    status = fault?.status ?? 0
    code = fault?.code ?? "ClientGone"
    message = fault?.message ?? ""
    if (fault && fault !== thrown) {
      context.log(`${call.requestId} ${service.binding.name} ${progress.operation}`, thrown)
    }
    bytes = refuse(call, service, progress.protocol, fault)
  }
  const service = progress.service?.binding.name ?? ""
  const ms = context.clock.monotonicMs() - startMs
  const { operation, caller, region } = progress
  const from = origin(call.request)
  context.onCall?.({
    requestId: call.requestId,
    service,
    operation,
    status,
    code,
    message,
    ms,
    bytes,
    caller,
    region,
    ...from,
  })
  await work.catch(() => undefined)
}

/** Where a request comes from, as it says itself and as the connection says. */
export function origin(request: IncomingMessage): Pick<CallRecord, "sourceAddress" | "userAgent"> {
  return { sourceAddress: request.socket.remoteAddress ?? "", userAgent: request.headers["user-agent"] ?? "" }
}

/** What a request is taken for until its service is known. */
function impliedProtocol({ signed }: Call, { services }: CallContext): Protocol {
  return !mayBeForm(signed) && services.speaking("restXml") ? "restXml" : "ec2Query"
}

function refuse(call: Call, { binding }: Service, protocol: Protocol, fault: Fault | undefined): number {
  const { response, requestId, signed } = call
  if (!fault || response.headersSent || response.destroyed) {
    response.destroy()
    return 0
  }
  if (!response.req.complete) discardRest(response.req)
  const wantsQueryError = signed.headers["x-amzn-query-mode"] === "true"
  const { headers, body } = errorAnswer(fault, protocol, { binding, requestId, path: signed.path, wantsQueryError })
  return sendWhole(response, { status: fault.status, headers, body }, requestId)
}

async function answer(call: Call, context: CallContext, progress: Progress): Promise<number> {
  const { signed } = call
  // Which service, and so whose words for every error from here on.
  const claim = claimOf(signed, context, progress)
  if (claim) progress.region = claim.region
  progress.service = claim ? context.services.named(claim.service) : context.services.guess(signed, "")
  if (!progress.service) {
    throw new Fault("UnsupportedOperation", `This endpoint has no service '${claim?.service}'`)
  }
  const protocol = protocolOf(saidProtocol(signed), progress.service.binding)
  progress.protocol = protocol
  if (call.isOverLimit) throw overLimit(protocol)
  if (isQuery(protocol)) return answerQuery(call, context, progress, claim, progress.service)
  return answerDocument(call, context, progress, claim, { service: progress.service, protocol })
}

async function answerQuery(
  call: Call,
  context: CallContext,
  progress: Progress,
  claim: Claim | undefined,
  guessed: Service,
): Promise<number> {
  const { request, response, signed, abort } = call
  refuseShape(request, signed)
  refuseLength(request, context.limits.bodyBytes)
  if (call.expectsContinue) response.writeContinue()
  const body = call.body ?? (await readBody(request, context.limits.bodyBytes, abort.signal))
  const caller = await authenticate(context, progress.protocol, signed, claim, body)
  progress.caller = caller
  const { region } = progress
  const revision = context.revision()
  const key = claim && revision !== undefined && answerKey(caller, claim.service, region, signed.query, body)
  const kept = key && context.answers.find(key, revision)
  if (kept) {
    progress.operation = kept.operation
    const start = Buffer.from(kept.before + call.requestId, "latin1")
    const pieces = [start, kept.after, ...kept.rest]
    return sendPieces(response, call.requestId, pieces, abort.signal)
  }

  const form = readForm(signed, body, context.limits)
  const version = take(form, "Version")
  const service = claim ? guessed : context.services.guess(signed, version)
  progress.service = service
  progress.protocol = protocolOf(undefined, service.binding)
  const action = take(form, "Action")
  const { operation, loaded } = await service.find(action, version)
  progress.operation = action
  const input = loaded.handles?.(action) === false ? {} : operation.read(form)
  abort.signal.throwIfAborted()
  const output = await loaded.dispatch(action, input, requestInfo(call, service, action, region, caller))
  abort.signal.throwIfAborted()
  const built = await build(operation.write(output, call.requestId), abort.signal)
  // A change while the answer was made may be in one half of it and not in the other: such an answer is given only once.
  if (key && context.revision() === revision && loaded.isPure?.(action)) {
    context.answers.keep(key, revision, action, [...built], call.requestId)
  }
  return sendPieces(response, call.requestId, built, abort.signal)
}

/** What a handler is told of its call. */
export function requestInfo(
  call: Call,
  service: Service,
  operation: string,
  region: string,
  caller: Caller,
): RequestInfo {
  return {
    requestId: call.requestId,
    service: service.binding.name,
    operation,
    region,
    caller,
    ...origin(call.request),
    signal: call.abort.signal,
  }
}

export function signedRequest(request: IncomingMessage): SignedRequest {
  const url = request.url ?? "/"
  const mark = url.indexOf("?")
  return {
    method: request.method ?? "",
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? "" : url.slice(mark + 1),
    headers: headersOf(request),
  }
}

/** Node joins or drops what comes twice; only then it is asked for all of it, which it takes time to build. */
function headersOf(request: IncomingMessage): Headers {
  const { headers, rawHeaders } = request
  let names = 0
  for (const _ in headers) names++
  return names * 2 === rawHeaders.length ? headers : request.headersDistinct
}

/** What no query protocol knows: other methods and paths, encoded bodies, bodies that are no forms. */
export function refuseShape(request: IncomingMessage, { method, path }: SignedRequest): void {
  if (method !== "POST" && method !== "GET") throw new Fault("MethodNotAllowed", "Use GET or POST", 405)
  if (!path.startsWith("/") || canonicalPath(path) !== "/") {
    throw new Fault("InvalidAction", "There is nothing at this path; send the request to /", 404)
  }
  const encoding = request.headers["content-encoding"]
  if (encoding !== undefined && encoding !== "identity") {
    throw new Fault("UnsupportedMediaType", "The body must not be encoded", 415)
  }
  if (method === "POST" && !isForm(request.headers["content-type"]) && request.headers["content-length"] !== "0") {
    throw new Fault("UnsupportedMediaType", "The body must be application/x-www-form-urlencoded", 415)
  }
}

const formType = "application/x-www-form-urlencoded"
// What the CLI and every SDK send.
const usualTypes = new Set([formType, `${formType}; charset=utf-8`])

function isForm(type: string | undefined): boolean {
  return type !== undefined && (usualTypes.has(type) || type.split(";", 1)[0]?.trim().toLowerCase() === formType)
}

/**
 * With auth off, a claim says no more than service and region, and one that cannot be read says nothing. One that is wrong is refused in the
 * words of the service that it names.
 */
function claimOf(signed: SignedRequest, context: CallContext, progress: Progress): Claim | undefined {
  try {
    return readClaim(signed, progress.protocol)
  } catch (refused) {
    if (context.everybody) return undefined
    const service = context.services.named(serviceSaid(signed) ?? "")
    if (!service) throw refused
    progress.service = service
    progress.protocol = protocolOf(saidProtocol(signed), service.binding)
    return readClaim(signed, progress.protocol)
  }
}

/** Who calls. Throws the protocol's refusal. */
export async function authenticate(
  context: CallContext,
  protocol: Protocol,
  signed: SignedRequest,
  claim: Claim | undefined,
  body: Buffer | SignedPayload,
): Promise<Caller> {
  if (context.everybody) return context.everybody
  if (claim) return context.verify(signed, claim, body, protocol)
  throw refusal("missing", protocol)
}

function readForm(signed: SignedRequest, body: Buffer, limits: Limits): FormNode {
  const form = parseForm([signed.query, bodyText(body)], limits)
  for (const name of form.children?.keys() ?? []) if (name.startsWith("X-Amz-")) form.children?.delete(name)
  return form
}

function take(form: FormNode, name: string): string {
  return form.children?.get(name)?.value ?? ""
}

/** The result, or whatever reason the signal aborts with, first of the two. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    signal.addEventListener("abort", stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop))
  })
}
