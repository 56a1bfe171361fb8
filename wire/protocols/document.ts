/** What protocols have in common whose requests and answers are documents: typed values in and out of whole HTTP messages. */
import { Fault } from "#lib/fault.ts"
import { ruleCode } from "../schema/constraints/rules.ts"
import { inputFault } from "../schema/missing.ts"
import { operationShapes } from "../schema/shape.ts"
import { documentReader, type Reading, refuseUnknown } from "../schema/value-reader.ts"
import { documentWriter } from "../schema/value-writer.ts"
import type { SignedRequest } from "../signature/claim.ts"
import type { Protocol, RpcProtocol } from "../types.ts"
import { decodeCbor, encodeCbor } from "./cbor.ts"

/** A request as an operation reads it. */
export interface Incoming {
  readonly signed: SignedRequest
  /** Values of the labels in path and host, decoded. */
  readonly labels: Readonly<Record<string, string>>
  /** Parameters of the query, decoded, without those that are the route's or the signature's own. */
  readonly query: readonly (readonly [name: string, value: string])[]
  /** Whole, or as it comes where the operation takes a stream. */
  readonly body: Buffer | AsyncIterable<Uint8Array>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | AsyncIterable<Uint8Array>
}

/** Whether values have to be as the model says, and not just of the right type: they have to, save in tests with made up ones. */
export interface Holding {
  readonly holdsRules?: boolean
}

/** One compiled operation. */
export interface DocumentOperation {
  /** The body is handed on as it comes. */
  readonly takesStream: boolean
  /** Typed input. Throws Fault: SerializationException, ValidationException, and what REST XML says instead. */
  read(incoming: Incoming): object
  /** Throws TypeError or RangeError for values that are not of the schema. */
  write(output: object): Answer
}

/** Compiles one operation's schema tuple of the SDK for a protocol of one path. */
export function compileRpc(schema: unknown, protocol: RpcProtocol, holding: Holding = {}): DocumentOperation {
  const { input, output } = operationShapes(schema)
  const isCbor = protocol === "rpcv2Cbor"
  const dialect = isCbor ? "cbor" : "json"
  const read = documentReader(input, dialect)
  const write = documentWriter(output, dialect)
  const headers = documentHeaders(protocol)
  const code = ruleCode(input)
  const nothing: Answer["headers"] = isCbor ? { "smithy-protocol": "rpc-v2-cbor" } : {}
  return {
    takesStream: false,
    read({ body }) {
      const bytes = wholeBody(body)
      const document = isCbor ? (bytes.length === 0 ? {} : decodeCbor(bytes)) : parseJson(bytes)
      return finished(protocol, (reading) => (input.kind === "unit" ? {} : read(document, reading)), {
        ...holding,
        code,
      })
    },
    write(value) {
      // RPC v2: an operation without an output has no content, and so no type of it.
      if (output.kind === "unit") return { status: 200, headers: nothing, body: Buffer.alloc(0) }
      return {
        status: 200,
        headers,
        body: isCbor ? encodeCbor(write(value)) : Buffer.from(JSON.stringify(write(value))),
      }
    },
  }
}

/** The headers of an answer that is a document. */
export function documentHeaders(protocol: Protocol): Readonly<Record<string, string>> {
  if (protocol === "rpcv2Cbor") return { "Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor" }
  if (protocol === "awsJson1_0") return { "Content-Type": "application/x-amz-json-1.0" }
  if (protocol === "awsJson1_1") return { "Content-Type": "application/x-amz-json-1.1" }
  return { "Content-Type": protocol === "restJson1" ? "application/json" : "application/xml" }
}

/** Runs a reader and refuses what it found wanting, with the protocol's code unless the service has one of its own. */
export function finished(
  protocol: Protocol,
  read: (reading: Reading) => unknown,
  { holdsRules = true, code }: Holding & { readonly code?: string | undefined } = {},
): object {
  const reading: Reading = { missing: [], unknown: [], broken: [] }
  const input = read(reading)
  refuseUnknown(reading)
  const fault = inputFault(reading.missing, holdsRules ? reading.broken : [], protocol, code)
  if (fault) throw fault
  return typeof input === "object" && input !== null ? input : {}
}

/** A JSON document; none is an empty one. Throws SerializationException. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {}
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    throw new Fault("SerializationException", "The document is not valid JSON")
  }
}

/** The body of an operation that takes no stream. */
export function wholeBody(body: Incoming["body"]): Buffer {
  if (!Buffer.isBuffer(body)) throw new TypeError("a stream where a whole body belongs")
  return body
}
