/** One parameter's text as the type its schema asks for. Each throws InvalidParameterValue and never guesses. */
import { Fault } from "#lib/fault.ts"
import { shown } from "../protocols/form.ts"
import type { NumberType } from "./numbers.ts"
import type { TimestampFormat } from "./shape.ts"

export function readBoolean(text: string, path: string): boolean {
  const word = text.toLowerCase()
  if (word === "true" || word === "1") return true
  if (word === "false" || word === "0") return false
  throw invalid(text, path, "Boolean")
}

/** An exact number: 64-bit integers that a double cannot hold are refused, not rounded. */
export function readNumber(text: string, path: string, type: NumberType): number {
  if (text.length <= 64) {
    const pattern = type === "Double" ? /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/ : /^[+-]?\d+$/
    const value = pattern.test(text) ? Number(text) : Number.NaN
    if (type === "Double" ? Number.isFinite(value) : Number.isSafeInteger(value)) {
      if (type !== "Integer" || (value >= -2147483648 && value <= 2147483647)) return value === 0 ? 0 : value
    }
  }
  throw invalid(text, path, type)
}

/** Strict base64 with its padding (RFC 4648, section 4). */
export function readBlob(text: string, path: string): Uint8Array {
  const bytes = Buffer.from(text, "base64")
  if (bytes.toString("base64") !== text) throw invalid(text, path, "Base64")
  return new Uint8Array(bytes)
}

const dateTimePattern = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?$/
const httpDatePattern = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/

/** ISO 8601 (a time without zone is UTC), or seconds since the epoch or an HTTP date where the schema asks for them. */
export function readTimestamp(text: string, path: string, format: TimestampFormat): Date {
  let at = Number.NaN
  if (format === "epoch-seconds") at = /^\d{1,12}(\.\d{1,9})?$/.test(text) ? Math.round(Number(text) * 1000) : at
  else if (format === "http-date") at = httpDatePattern.test(text) ? Date.parse(text) : at
  else at = dateTimeMs(text)
  if (Number.isNaN(at)) throw invalid(text, path, "Timestamp")
  return new Date(at)
}

function dateTimeMs(text: string): number {
  const match = dateTimePattern.exec(text)
  if (!match) return Number.NaN
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] = match
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.padEnd(3, "0").slice(0, 3)}`
  const utc = Date.parse(`${local}Z`)
  // Date.parse takes 30 February for 1 March.
  if (Number.isNaN(utc) || new Date(utc).toISOString() !== `${local}Z`) return Number.NaN
  if (zone === "Z") return utc
  return Date.parse(`${local}${zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone}`)
}

function invalid(text: string, path: string, expected: string): Fault {
  return new Fault(
    "InvalidParameterValue",
    `Value (${shown(text)}) for parameter ${shown(path)} is invalid. Expected: '${expected}'.`,
  )
}
