/** What a request says of its own signature, before anything is believed. Signature Version 4, header or query. */
import type { Protocol } from "../types.ts"
import { refusal } from "./refusals.ts"

/** Header names in lower case. The value of one that came once, the values in order of arrival of one that came more often. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

export interface SignedRequest {
  readonly method: string
  /** As on the wire, still percent-encoded, without the query. */
  readonly path: string
  /** As on the wire, without the question mark. */
  readonly query: string
  readonly headers: Headers
}

/** Whose signing key, and for what. */
interface Credential {
  /** As it was sent: the access key, a slash, and the scope. */
  readonly credential: string
  /** "20260102/us-east-1/ec2/aws4_request" */
  readonly scope: string
  readonly accessKeyId: string
  /** "20260102" */
  readonly day: string
  readonly region: string
  readonly service: string
}

export interface Claim extends Credential {
  readonly signedHeaders: readonly string[]
  /** 64 lower-case hex digits. */
  readonly signature: string
  /** "20260102T030405Z" */
  readonly timestamp: string
  /** Milliseconds since the epoch. */
  readonly signedAtMs: number
  /** How long a presigned request may be used; undefined for one that carries an Authorization header. */
  readonly expiresMs: number | undefined
}

const algorithm = "AWS4-HMAC-SHA256"
/** Presigned requests live at most seven days. */
const longestSeconds = 604_800
// One of each, or two readers of one request may disagree on what it says.
const single = ["authorization", "host", "x-amz-date", "date", "x-amz-content-sha256", "x-amz-security-token"]

/**
 * The claim of a request, undefined when it is not signed at all. Throws IncompleteSignature when the claim is not
 * complete and well formed, in the words of `protocol`.
 */
export function readClaim(request: SignedRequest, protocol: Protocol): Claim | undefined {
  const authorization = firstOf(request.headers, "authorization")
  const presigned = authorization ? undefined : presignedFields(request.query, protocol)
  if (!authorization && !presigned) return undefined
  for (const name of single) {
    const value = request.headers[name]
    if (typeof value === "object" && value.length > 1) throw refusal("incomplete", protocol, `More than one '${name}'.`)
  }
  const said = presigned ? fieldsSaid(presigned, protocol) : headerSaid(authorization ?? "", protocol)
  const { signedHeaders, signature } = said
  if (!said.isWellFormed && !isDigest(signature))
    throw refusal("incomplete", protocol, "'Signature' must be 64 hex digits.")
  const timestamp = presigned ? (presigned.get("Date") ?? "") : headerTimestamp(request.headers, protocol)
  const signedAtMs = timestampMs(timestamp)
  if (signedAtMs === undefined) throw refusal("incomplete", protocol, "The date must be in ISO 8601 basic format.")
  if (!timestamp.startsWith(said.credential.day)) throw refusal("scope", protocol, "the date of the request")
  const expiresMs = presigned ? expiry(presigned.get("Expires"), protocol) : undefined
  return { ...said.credential, signedHeaders, signature, timestamp, signedAtMs, expiresMs }
}

/** The service that a scope names, although the rest of what a request says of its signature may be wrong. */
export function serviceSaid({ headers, query }: SignedRequest): string | undefined {
  const text = firstOf(headers, "authorization") ?? query
  return /(?:\/|%2F)([a-z0-9-]{1,64})(?:\/|%2F)aws4_request/i.exec(text.slice(0, 4096))?.[1]
}

/** The value of a header, the first one of several. */
export function firstOf(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return typeof value === "object" ? value[0] : value
}

type Fields = ReadonlyMap<string, string>
interface Said {
  /** The signature was seen to be 64 lower-case hex digits. */
  readonly isWellFormed: boolean
  readonly credential: Credential
  readonly signedHeaders: readonly string[]
  readonly signature: string
}

function fieldsSaid(fields: Fields, protocol: Protocol): Said {
  return {
    isWellFormed: false,
    credential: credential(fields.get("Credential") ?? "", protocol),
    signedHeaders: headerList(fields.get("SignedHeaders") ?? "", protocol),
    signature: fields.get("Signature") ?? "",
  }
}

const digestLength = 64

/** Whether it is 64 lower-case hex digits from there to its end. A loop: each request asks, and a regular expression takes longer. */
function isDigest(text: string, from = 0): boolean {
  if (text.length - from !== digestLength) return false
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const isDigit = code >= 48 && code <= 57
    const isLetter = code >= 97 && code <= 102
    if (!isDigit && !isLetter) return false
  }
  return true
}

/** All that stands before the signature is the same all day: it is remembered with an empty one. */
function headerSaid(header: string, protocol: Protocol): Said {
  const signatureAt = Math.max(0, header.length - digestLength)
  const start = header.slice(0, signatureAt)
  if (!start.endsWith("Signature=") || !isDigest(header, signatureAt)) {
    return fieldsSaid(headerFields(header, protocol), protocol)
  }
  const { credential, signedHeaders } = headerStart(start, protocol)
  return { isWellFormed: true, credential, signedHeaders, signature: header.slice(signatureAt) }
}

/** "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=..." with any white space around the parts. */
function headerFields(header: string, protocol: Protocol): Fields {
  const match = /^(\S+)[ \t]+(.*)$/.exec(header.trim())
  if (match?.[1] !== algorithm) throw refusal("incomplete", protocol, `The algorithm must be ${algorithm}.`)
  const fields = new Map<string, string>()
  for (const part of (match[2] ?? "").split(",")) {
    const equals = part.indexOf("=")
    const name = part.slice(0, Math.max(equals, 0)).trim()
    if (!["Credential", "SignedHeaders", "Signature"].includes(name) || fields.has(name)) {
      throw refusal("incomplete", protocol, "Authorization header has an unexpected part.")
    }
    fields.set(name, part.slice(equals + 1).trim())
  }
  return fields
}

function presignedFields(query: string, protocol: Protocol): Fields | undefined {
  if (!query.includes("X-Amz-")) return undefined
  const fields = new Map<string, string>()
  for (const pair of query.split("&")) {
    if (!pair.startsWith("X-Amz-")) continue
    const equals = pair.indexOf("=")
    const name = pair.slice("X-Amz-".length, equals < 0 ? undefined : equals)
    if (fields.has(name)) throw refusal("incompleteQuery", protocol, "A parameter of the signature is given twice.")
    try {
      fields.set(name, equals < 0 ? "" : decodeURIComponent(pair.slice(equals + 1)))
    } catch {
      throw refusal("incompleteQuery", protocol, "A parameter of the signature is badly encoded.")
    }
  }
  if (!fields.has("Algorithm")) return undefined
  if (fields.get("Algorithm") !== algorithm) {
    throw refusal("incompleteQuery", protocol, `The algorithm must be ${algorithm}.`)
  }
  return fields
}

/** Clients send the same scope and the same list of headers all day: remembers what was well formed, up to a limit. */
function remembered<T>(parse: (text: string, protocol: Protocol) => T): (text: string, protocol: Protocol) => T {
  const known = new Map<string, T>()
  return (text, protocol) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const parsed = parse(text, protocol)
    if (known.size >= 1000) known.clear()
    if (text.length <= 400) known.set(text, parsed)
    return parsed
  }
}

const credential = remembered((text, protocol): Credential => {
  // Scope values become part of cache keys and of messages: only what they can be, at lengths they can have.
  const match = /^([A-Za-z0-9_]{3,128})\/(\d{8})\/([^/\s]{1,64})\/([a-z0-9-]{1,64})\/aws4_request$/.exec(text)
  const [, accessKeyId, day, region, service] = match ?? []
  if (!accessKeyId || !day || !region || !service) {
    throw refusal("incomplete", protocol, "'Credential' must be key/date/region/service/aws4_request.")
  }
  if (!/^[a-z]{2,8}(-[a-z]{2,16}){1,3}-\d{1,2}$/.test(region)) throw refusal("scope", protocol, "a valid region")
  return { credential: text, scope: text.slice(accessKeyId.length + 1), accessKeyId, day, region, service }
})

const headerList = remembered((text, protocol): readonly string[] => {
  const names = text.split(";")
  if (!names.every((name) => /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) || new Set(names).size !== names.length) {
    throw refusal("incomplete", protocol, "'SignedHeaders' must be names in lower case, each once.")
  }
  if (!names.includes("host")) throw refusal("incomplete", protocol, "'host' must be a signed header.")
  return names
})

const headerStart = remembered((text, protocol): Said => fieldsSaid(headerFields(text, protocol), protocol))

function headerTimestamp(headers: Headers, protocol: Protocol): string {
  const amazonDate = firstOf(headers, "x-amz-date")
  if (amazonDate !== undefined) return amazonDate.trim()
  const date = firstOf(headers, "date")?.trim()
  if (date === undefined) throw refusal("noDate", protocol, "The request needs 'X-Amz-Date' or 'Date'.")
  if (timestampMs(date) !== undefined) return date
  const at = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(date) ? Date.parse(date) : Number.NaN
  return Number.isNaN(at) ? "" : new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, "")
}

// One clock second brings many requests, and one day nearly all.
let lastTimestamp = ""
let lastTimestampMs: number | undefined
let lastDay = ""
let lastDayMs = Number.NaN

function timestampMs(text: string): number | undefined {
  if (text !== lastTimestamp) {
    lastTimestampMs = readTimestamp(text)
    lastTimestamp = text
  }
  return lastTimestampMs
}

function readTimestamp(text: string): number | undefined {
  if (!isTimestamp(text)) return undefined
  const day = text.slice(0, 8)
  if (day !== lastDay) {
    lastDayMs = Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`)
    lastDay = day
  }
  const [hour, minute, second] = [twoDigits(text, 9), twoDigits(text, 11), twoDigits(text, 13)]
  const isTime = hour < 24 && minute < 60 && second < 60
  return isTime && !Number.isNaN(lastDayMs) ? lastDayMs + ((hour * 60 + minute) * 60 + second) * 1000 : undefined
}

/** Whether it is "20260102T030405Z" in its shape. A loop: a client that is quick has another second with each request. */
function isTimestamp(text: string): boolean {
  if (text.length !== 16) return false
  for (let at = 0; at < 15; at++) {
    const code = text.charCodeAt(at)
    if (at === 8 ? code !== 0x54 : code < 48 || code > 57) return false
  }
  return text.charCodeAt(15) === 0x5a
}

/** The number that two digits are, which they were seen to be. */
const twoDigits = (text: string, at: number) => (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48

function expiry(text: string | undefined, protocol: Protocol): number {
  const seconds = /^\d{1,6}$/.test(text ?? "") ? Number(text) : 0
  if (seconds < 1 || seconds > longestSeconds) {
    throw refusal("incompleteQuery", protocol, `X-Amz-Expires must be between 1 and ${longestSeconds} seconds.`)
  }
  return seconds * 1000
}
