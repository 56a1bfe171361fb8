/** The one listener for every service: limits, guards, local pages, request ids and an orderly end. */
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Clock } from "#lib/clock.ts"
import { Fault } from "#lib/fault.ts"
import { defaultLimits } from "../protocols/limits.ts"
import { createVerifier } from "../signature/verify.ts"
import { createVersion2 } from "../signature/version2.ts"
import type { Caller, Limits, SecretSource, ServiceBinding } from "../types.ts"
import { discardRest, sendText } from "./answer.ts"
import { createAnswerCache } from "./answer-cache.ts"
import { ClientGone } from "./body.ts"
import { type Call, type CallContext, type CallRecord, runCall, signedRequest } from "./call.ts"
import { Ending } from "./ending.ts"
import { answerAgain, mayAnswerAgain, readSmallBody } from "./short-way.ts"
import { createGuard } from "./guard.ts"
import { createLateBodies } from "./late-bodies.ts"
import { createRequestIds } from "./request-ids.ts"
import { createServices } from "./services.ts"

/** Serves one request below /_fractus/. Host and Origin are checked; nothing else is. */
export type LocalHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  info: { readonly requestId: string; readonly signal: AbortSignal },
) => void | Promise<void>

export interface WireServerOptions {
  /** The first answers where nothing in a request says which one is meant. */
  readonly services: readonly ServiceBinding[]
  readonly secrets: SecretSource
  readonly auth: "on" | "off"
  /** Who everybody is with auth off; required then. */
  readonly defaultCaller?: Caller
  readonly defaultRegion: string
  /**
   * Rises with every change that any answer could show, undefined while one is under way. Answers of operations that their
   * service calls pure are given again while it stays the same. Without it every answer is made anew.
   */
  readonly revision?: () => number | undefined
  /** Host names to answer to besides loopback and the address connected to: "cloud.lan", "*.cloud.lan". */
  readonly allowedHosts?: readonly string[]
  readonly clock: Clock
  readonly limits?: Partial<Limits>
  /** The handler of a path (without its query) that starts with "/_fractus", undefined for none. */
  readonly local?: (method: string, path: string) => LocalHandler | undefined
  /** One record for every API call, when its answer is handed over. */
  readonly onCall?: (record: CallRecord) => void
  /** Told of what was thrown and is no Fault; the error stream unless given. */
  readonly log?: (message: string, error: unknown) => void
}

export interface WireServer {
  readonly server: Server
  /** Rejects with the system's error (EADDRINUSE, EACCES). Port 0 takes a free one. */
  listen(port: number, host: string): Promise<{ readonly port: number; readonly address: string }>
  /** Takes nothing new, lets running calls end, aborts what is left after the deadline and closes all connections. */
  drain(deadlineMs: number): Promise<void>
  /** API calls whose answer or handler is not yet through. */
  inFlight(): number
}

// An import of node:http loads fetch and WebSocket with it, as they are among its exports: 5 MB, and time of every start.
const { createServer } = process.getBuiltinModule("node:http")

const newRequestId = createRequestIds()

/** After the deadline of a drain, how long aborted calls have to send their refusals. */
const lastWordsMs = 200
const about =
  "Fractus: EC2 on machines you own. This is an endpoint of the AWS API; use it with an AWS CLI or SDK and --endpoint-url.\n"

export function createWireServer(options: WireServerOptions): WireServer {
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const context = callContext(options, limits)
  const guard = createGuard(options.allowedHosts ?? [])
  const lateBodies = createLateBodies(limits.requestMs, options.clock)
  /** Requests that are not yet through, and how those are ended that take the long way. */
  let open = 0
  const running = new Set<Ending>()
  let calls = 0
  let isDraining = false
  let settled: (() => void) | undefined

  const through = (): void => {
    open--
    if (open === 0) settled?.()
  }
  const serve = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const requestId = newRequestId()
    const signed = signedRequest(request)
    const refused = guard(signed.headers, request.socket)
    if (refused !== undefined) {
      if (!request.complete) discardRest(request)
      sendText(response, 403, requestId, `${refused}\n`, "text/plain;charset=UTF-8")
      return
    }
    if (isDraining) response.shouldKeepAlive = false
    open++
    const goOn = (body?: Buffer): void => {
      const ending = new Ending()
      running.add(ending)
      const done = (): void => {
        running.delete(ending)
        through()
      }
      const work = longWay({
        request,
        response,
        signed,
        requestId,
        abort: ending,
        expectsContinue,
        ...(body && { body }),
      })
      work.catch((error: unknown) => failed(error, response)).finally(done)
    }
    if (expectsContinue || !mayAnswerAgain(request, context)) return goOn()
    readSmallBody(request, lateBodies, (body) => {
      try {
        if (body !== undefined && !answerAgain(request, response, signed, requestId, body, context)) return goOn(body)
      } catch (error) {
        failed(error, response)
      }
      through()
    })
  }
  const longWay = async (call: Omit<Call, "isOverLimit" | "progress">): Promise<void> => {
    const { request, response, requestId, abort } = call
    response.once("close", () => {
      if (!response.writableFinished) abort.abort(new ClientGone("the connection was closed"))
    })
    const handler = pageFor(request, options)
    if (handler) {
      if (call.expectsContinue) response.writeContinue()
      lateBodies.begin(request)
      await runLocal(handler, request, response, requestId, abort.signal, context)
      return
    }
    const isOverLimit = calls >= limits.inFlight
    calls++
    const deadline = setTimeout(() => abort.abort(unavailable()), limits.requestMs)
    response.once("close", () => clearTimeout(deadline))
    try {
      await runCall({ ...call, isOverLimit, progress: () => void deadline.refresh() }, context)
    } finally {
      calls--
    }
  }
  const failed = (error: unknown, response: ServerResponse): void => {
    context.log("a request ended in an error", error)
    response.destroy()
  }

  const server = httpServer(limits, options.services.some(takesStreams), (request, response, expectsContinue) => {
    try {
      serve(request, response, expectsContinue)
    } catch (error) {
      failed(error, response)
    }
  })
  return {
    server,
    listen: (port, host) => listen(server, port, host),
    inFlight: () => calls,
    async drain(deadlineMs) {
      isDraining = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const idle = new Promise<void>((resolve) => (settled = resolve))
      if (open > 0) await before(idle, deadlineMs)
      for (const abort of running) abort.abort(unavailable())
      if (open > 0) await before(idle, lastWordsMs)
      // Answers that are sent but not yet taken get the same moment.
      server.closeIdleConnections()
      await before(closed, lastWordsMs)
      server.closeAllConnections()
      await closed
    },
  }
}

function callContext(options: WireServerOptions, limits: Limits): CallContext {
  const { auth, defaultCaller, secrets, clock, defaultRegion, onCall, revision = () => undefined } = options
  if (auth === "off" && !defaultCaller) throw new TypeError("auth off needs a defaultCaller")
  return {
    services: createServices(options.services),
    limits,
    clock,
    verify: createVerifier({ secrets, clock, revision }),
    verify2: createVersion2({ secrets, clock }),
    everybody: auth === "off" ? defaultCaller : undefined,
    defaultRegion,
    answers: createAnswerCache(),
    revision,
    onCall,
    log: options.log ?? ((message, error) => console.error(message, error)),
  }
}

const longestStreamMs = 6 * 3_600_000
const takesStreams = ({ protocol }: ServiceBinding) => protocol === "restXml"

/** A node:http server that gives slow and oversized clients up by itself. */
function httpServer(
  limits: Limits,
  hasStreams: boolean,
  serve: (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void,
): Server {
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: Math.min(10_000, limits.requestMs),
    // A stream may take long as long as it goes on, which the deadline of its call watches.
    requestTimeout: hasStreams ? Math.max(longestStreamMs, limits.requestMs) : limits.requestMs,
    connectionsCheckingInterval: Math.min(1000, limits.requestMs),
    keepAliveTimeout: 65_000,
    // Ours to refuse, with a request id.
    requireHostHeader: false,
  })
  // Node drops headers over its count in silence; their size is bounded already.
  server.maxHeadersCount = 0
  server.maxConnections = limits.inFlight * 8
  server.on("request", (request: IncomingMessage, response: ServerResponse) => serve(request, response, false))
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => serve(request, response, true))
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => refuseBytes(error, socket))
  return server
}

/** Bytes that are no request, too many headers, or too slow: there is no response object to answer with. */
function refuseBytes(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET" || socket.bytesWritten > 0) {
    socket.destroy(error)
    return
  }
  let status = "400 Bad Request"
  if (error.code === "HPE_HEADER_OVERFLOW") status = "431 Request Header Fields Too Large"
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") status = "408 Request Timeout"
  const head = `HTTP/1.1 ${status}\r\nx-amzn-RequestId: ${newRequestId()}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
  socket.end(head, () => socket.destroy())
}

/** What answers a request that is no API call. */
function pageFor(request: IncomingMessage, options: WireServerOptions): LocalHandler | undefined {
  const { method = "", url = "" } = request
  if (url.startsWith("/_fractus")) {
    const path = url.split("?", 1)[0] ?? ""
    const isOurs = path === "/_fractus" || path.startsWith("/_fractus/")
    return (isOurs && options.local?.(method, path)) || notHere
  }
  const isPlainVisit = (method === "GET" || method === "HEAD") && url === "/" && !request.headers.authorization
  return isPlainVisit
    ? (_, response, { requestId }) => void sendText(response, 200, requestId, about, "text/plain;charset=UTF-8")
    : undefined
}

const notHere: LocalHandler = (_, response, { requestId }) =>
  void sendText(response, 404, requestId, "There is nothing at this path\n", "text/plain;charset=UTF-8")

async function runLocal(
  handler: LocalHandler,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  signal: AbortSignal,
  context: CallContext,
): Promise<void> {
  try {
    await handler(request, response, { requestId, signal })
  } catch (thrown) {
    if (!(thrown instanceof Fault) && !signal.aborted) context.log(`${requestId} ${request.url}`, thrown)
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const fault = thrown instanceof Fault ? thrown : new Fault("InternalError", "An internal error has occurred", 500)
    const body = JSON.stringify({ code: fault.code, message: fault.message })
    sendText(response, fault.status, requestId, `${body}\n`, "application/json")
  }
}

function listen(server: Server, port: number, host: string): Promise<{ port: number; address: string }> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.off("error", reject)
      const bound = server.address()
      if (bound === null || typeof bound === "string") reject(new TypeError("not a network address"))
      else resolve({ port: bound.port, address: bound.address })
    })
  })
}

/** Waits for a promise, but no longer than given. */
async function before(promise: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs)
  })
  await Promise.race([promise, late])
  clearTimeout(timer)
}

function unavailable(): Fault {
  return new Fault("ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503)
}
