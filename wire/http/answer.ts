/** Answers on the wire. */
import { once } from "node:events"
import type { IncomingMessage, ServerResponse } from "node:http"
import { setImmediate as nextTurn } from "node:timers/promises"

const xmlType = "text/xml;charset=UTF-8"

/** How long a refused client may go on sending before its connection is cut, so that it can read why. */
const lingerMs = 500

/** A short answer in one write. Gives its size in bytes. */
export function sendText(
  response: ServerResponse,
  status: number,
  requestId: string,
  body: string,
  type = xmlType,
): number {
  // Node takes several times as long for a string that was built of many.
  const bytes = Buffer.from(body)
  response.writeHead(status, usualHeaders(requestId, bytes.length, type))
  response.end(bytes)
  return bytes.length
}

/** A whole answer with its own headers. Gives its size in bytes. */
export function sendWhole(
  response: ServerResponse,
  {
    status,
    headers,
    body,
  }: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Buffer },
  requestId: string,
): number {
  response.writeHead(status, merged(usualHeaders(requestId, body.length, ""), headers))
  response.end(body)
  return body.length
}

/**
 * An answer whose body comes as it is read, with its length among its headers; `progress` is called with every piece. What goes wrong on the
 * way cuts the connection, as the head is out already. Gives its size in bytes.
 */
export async function sendStream(
  response: ServerResponse,
  {
    status,
    headers,
    body,
  }: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: AsyncIterable<Uint8Array>
  },
  requestId: string,
  signal: AbortSignal,
  progress: () => void,
): Promise<number> {
  response.writeHead(status, merged(usualHeaders(requestId, 0, ""), headers))
  let sizeBytes = 0
  for await (const piece of body) {
    signal.throwIfAborted()
    sizeBytes += piece.length
    progress()
    if (!response.write(piece)) await once(response, "drain", { signal })
  }
  response.end()
  return sizeBytes
}

/** The usual headers without those that the answer sets itself. S3's ids have names of their own, and its objects their own Cache-Control. */
function merged(
  usual: Readonly<Record<string, string | number>>,
  own: Readonly<Record<string, string>>,
): Record<string, string | number> {
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()))
  const isStorage = names.has("x-amz-request-id")
  const kept = Object.entries(usual).filter(
    ([name]) => !names.has(name.toLowerCase()) && name !== "Content-Type" && (!isStorage || name === "Content-Length"),
  )
  return { ...Object.fromEntries(kept), ...own }
}

/**
 * A short XML answer in one go: `start` has one character for each byte and joins the head, `rest` leaves from where it lies, so that an answer
 * given again is not copied. Gives its size in bytes.
 */
export function sendAgain(response: ServerResponse, requestId: string, start: string, rest: Buffer): number {
  const sizeBytes = start.length + rest.length
  response.writeHead(200, usualHeaders(requestId, sizeBytes, xmlType))
  response.write(start, "latin1")
  response.end(rest)
  return sizeBytes
}

/**
 * An answer as bytes, built piece by piece with other work in between. It is built whole before its head is sent: whatever
 * goes wrong while building can still be answered. Rejects with the reason when `signal` aborts.
 */
export async function build(pieces: Iterator<string>, signal: AbortSignal): Promise<Buffer[]> {
  const built: Buffer[] = []
  for (let piece = pieces.next(); !piece.done; piece = pieces.next()) {
    // Short answers are one piece: nobody waits for them.
    if (built.length > 0) await nextTurn()
    signal.throwIfAborted()
    built.push(Buffer.from(piece.value))
  }
  return built
}

/** Writes a built answer as fast as the client reads it; stops when `signal` aborts. Gives its size in bytes. */
export async function sendPieces(
  response: ServerResponse,
  requestId: string,
  built: Buffer[],
  signal: AbortSignal,
): Promise<number> {
  const sizeBytes = built.reduce((sum, piece) => sum + piece.length, 0)
  response.writeHead(200, usualHeaders(requestId, sizeBytes, xmlType))
  if (built.length === 1) {
    response.end(built[0])
    return sizeBytes
  }
  for (const [index, piece] of built.entries()) {
    if (signal.aborted) return sizeBytes
    built[index] = Buffer.alloc(0)
    if (!response.write(piece)) await once(response, "drain", { signal }).catch(() => undefined)
  }
  response.end()
  return sizeBytes
}

/**
 * Lets a client read its answer although its body was not read: what it still sends is thrown away for a moment, as
 * closing with bytes unread would reset the connection first. Then the connection is cut.
 */
export function discardRest(request: IncomingMessage): void {
  const cut = (): void => {
    if (!request.complete) request.socket.destroy()
  }
  setTimeout(cut, lingerMs).unref()
  request.resume()
}

function usualHeaders(requestId: string, sizeBytes: number, type: string): Record<string, string | number> {
  return {
    "x-amzn-RequestId": requestId,
    "Cache-Control": "no-cache, no-store",
    "Content-Type": type,
    "Content-Length": sizeBytes,
  }
}
