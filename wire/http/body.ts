import { isUtf8 } from "node:buffer"
import type { IncomingMessage } from "node:http"
import { Fault } from "#lib/fault.ts"

/** The client went away before its request was complete: there is nobody to answer. */
export class ClientGone extends Error {
  override name = "ClientGone"
}

/** Throws 413 at once when the declared length is over the limit, before anything is read. */
export function refuseLength(request: IncomingMessage, limitBytes: number): void {
  const declared = request.headers["content-length"]
  if (declared !== undefined && Number(declared) > limitBytes) throw tooLarge(limitBytes)
}

/** The whole body. Throws 413 when it grows past the limit and reads no further; throws ClientGone and why `signal` aborted. */
export function readBody(request: IncomingMessage, limitBytes: number, signal: AbortSignal): Promise<Buffer> {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === "0")) return Promise.resolve(Buffer.alloc(0))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const settle = (outcome: () => void): void => {
      request.off("data", take).off("end", whole).off("error", broken).off("close", broken)
      signal.removeEventListener("abort", aborted)
      outcome()
    }
    const stop = (error: unknown): void => {
      request.pause()
      settle(() => reject(error))
    }
    const take = (chunk: Buffer): void => {
      sizeBytes += chunk.length
      if (sizeBytes > limitBytes) stop(tooLarge(limitBytes))
      else chunks.push(chunk)
    }
    const whole = (): void =>
      settle(() => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    const broken = (): void => stop(new ClientGone("the connection broke"))
    // Once the request is answered for, Node tells it nothing of its connection any more.
    const aborted = (): void => stop(signal.reason)
    signal.addEventListener("abort", aborted)
    request.on("data", take).on("end", whole).on("error", broken).on("close", broken)
  })
}

/** A form's text. Throws MalformedQueryString for bytes that are no UTF-8. */
export function bodyText(body: Buffer): string {
  if (!isUtf8(body)) throw new Fault("MalformedQueryString", "The request is not valid UTF-8")
  return body.toString("utf8")
}

function tooLarge(limitBytes: number): Fault {
  return new Fault("RequestEntityTooLarge", `The request is larger than ${limitBytes} bytes`, 413)
}
