/** Errors as each protocol says them. */
import { Fault } from "#lib/fault.ts"
import type { Protocol, ServiceBinding } from "../types.ts"
import { encodeCbor } from "./cbor.ts"
import { documentHeaders } from "./document.ts"
import { isQuery } from "./kinds.ts"
import { errorBody } from "./query.ts"
import { escapeXml } from "./xml.ts"

export interface ErrorAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface ErrorContext {
  readonly binding: ServiceBinding
  readonly requestId: string
  /** As on the wire, for S3, which repeats it. */
  readonly path: string
  /** The client of a service that once spoke query asks for the codes of then. */
  readonly wantsQueryError: boolean
}

/** What a caller sees of anything thrown: a Fault as it is, everything else as the protocol's internal error, 500. */
export function asFault(thrown: unknown, protocol: Protocol): Fault {
  if (thrown instanceof Fault) return thrown
  if (protocol === "ec2Query") return new Fault("InternalError", "An internal error has occurred", 500)
  if (protocol === "restXml")
    return new Fault("InternalError", "We encountered an internal error. Please try again.", 500)
  return new Fault("InternalFailure", "The request processing has failed because of an unknown error.", 500)
}

/** More calls at once than the server takes. */
export function overLimit(protocol: Protocol): Fault {
  if (protocol === "ec2Query") return new Fault("RequestLimitExceeded", "Request limit exceeded.", 503)
  if (protocol === "awsQuery")
    return new Fault("ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503)
  return protocol === "restXml"
    ? new Fault("SlowDown", "Please reduce your request rate.", 503)
    : new Fault("ThrottlingException", "Rate exceeded", 400)
}

/** Head and body of an error's answer; its status is the fault's. */
export function errorAnswer(fault: Fault, protocol: Protocol, context: ErrorContext): ErrorAnswer {
  const { binding, requestId } = context
  if (isQuery(protocol)) {
    const dialect = { protocol, xmlNamespace: binding.xmlNamespace ?? "" }
    return {
      headers: { "Content-Type": "text/xml;charset=UTF-8" },
      body: Buffer.from(errorBody(fault, dialect, requestId)),
    }
  }
  if (protocol === "restXml") return s3Error(fault, context)
  const headers = documentHeaders(protocol)
  const queryError = { "x-amzn-query-error": `${fault.code};${fault.status >= 500 ? "Receiver" : "Sender"}` }
  const also = { ...headers, ...(context.wantsQueryError ? queryError : {}) }
  const document = { __type: fault.code, message: fault.message }
  if (protocol === "rpcv2Cbor") return { headers: also, body: encodeCbor(document) }
  if (protocol !== "restJson1") return { headers: also, body: Buffer.from(JSON.stringify(document)) }
  return {
    headers: { ...also, "x-amzn-ErrorType": fault.code },
    body: Buffer.from(JSON.stringify({ message: fault.message })),
  }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. An answer without change has no body. */
function s3Error(fault: Fault, { requestId, path }: ErrorContext): ErrorAnswer {
  const ids = { "x-amz-request-id": requestId, "x-amz-id-2": requestId }
  if (fault.status === 304) return { headers: ids, body: Buffer.alloc(0) }
  const members = { Code: fault.code, Message: fault.message, Resource: path, RequestId: requestId, HostId: requestId }
  const inner = Object.entries(members).map(([tag, text]) => `<${tag}>${escapeXml(text)}</${tag}>`)
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${inner.join("")}</Error>`
  return { headers: { ...documentHeaders("restXml"), ...ids }, body: Buffer.from(body) }
}
