/** Small checks that a value is what it should be. Each gives the value, rebuilt from known fields only, or throws `Invalid`. */
import { isIP, isIPv4 } from "node:net"

export class Invalid extends Error {}
/** `at` names the field in the error. */
export type Check<T> = (value: unknown, at: string) => T

const refuse = (at: string, wanted: string): never => {
  throw new Invalid(`${at} is not ${wanted}`)
}

export const text =
  (pattern: RegExp, maxLength = 256): Check<string> =>
  (value, at) =>
    typeof value === "string" && value.length <= maxLength && pattern.test(value)
      ? value
      : refuse(at, `like ${pattern.source}`)

export const whole =
  (from: number, to: number): Check<number> =>
  (value, at) =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= from && value <= to
      ? value
      : refuse(at, `a whole number from ${from} to ${to}`)

export const decimal =
  (from: number, to: number): Check<number> =>
  (value, at) =>
    typeof value === "number" && value >= from && value <= to ? value : refuse(at, `a number from ${from} to ${to}`)

export const flag: Check<boolean> = (value, at) => (typeof value === "boolean" ? value : refuse(at, "true or false"))

export const oneOf =
  <const T extends string>(...values: readonly T[]): Check<T> =>
  (value, at) =>
    values.find((each) => each === value) ?? refuse(at, `one of ${values.join(", ")}`)

export const optional =
  <T>(check: Check<T>): Check<T | undefined> =>
  (value, at) =>
    value === undefined ? undefined : check(value, at)

export const list =
  <T>(check: Check<T>, maxLength: number): Check<readonly T[]> =>
  (value, at) =>
    Array.isArray(value) && value.length <= maxLength
      ? value.map((each, index) => check(each, `${at}[${index}]`))
      : refuse(at, `a list of at most ${maxLength}`)

export const record =
  (key: Check<string>, check: Check<string>, maxLength: number): Check<Readonly<Record<string, string>>> =>
  (value, at) => {
    const pairs = Object.entries(plain(value, at))
    if (pairs.length > maxLength) refuse(at, `of at most ${maxLength} keys`)
    return Object.fromEntries(pairs.map(([name, each]) => [key(name, `a key of ${at}`), check(each, `${at}.${name}`)]))
  }

/** Exactly these fields, no other; those whose check gives undefined are left out. */
export const shape =
  <T extends object>(fields: { readonly [K in keyof T]-?: Check<T[K]> }): Check<T> =>
  (value, at) => {
    const given = plain(value, at)
    const checks = new Map<string, Check<unknown>>(Object.entries(fields))
    for (const name of Object.keys(given)) if (!checks.has(name)) refuse(`${at}.${name.slice(0, 40)}`, "known")
    const pairs = Array.from(checks, ([name, check]) => [name, check(own(given, name), `${at}.${name}`)] as const)
    const result: unknown = Object.fromEntries(pairs.filter(([, each]) => each !== undefined))
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each field was checked by the check of its own type
    return result as T
  }

/** The shape that the value's `kind` names. */
export const byKind =
  <T extends { readonly kind: string }>(shapes: {
    readonly [K in T["kind"]]: Check<Extract<T, { kind: K }>>
  }): Check<T> =>
  (value, at) => {
    const kind = own(plain(value, at), "kind")
    const check = new Map<unknown, Check<T>>(Object.entries(shapes)).get(kind)
    return check ? check(value, at) : refuse(`${at}.kind`, "known")
  }

export const address: Check<string> = (value, at) =>
  typeof value === "string" && isIPv4(value) ? value : refuse(at, "an IPv4 address")

export const cidr =
  (version: 4 | 6): Check<string> =>
  (value, at) => {
    const [network, bits, ...more] = typeof value === "string" && value.length <= 49 ? value.split("/") : []
    const sound = isIP(network ?? "") === version && /^(0|[1-9]\d{0,2})$/.test(bits ?? "") && more.length === 0
    return sound && Number(bits) <= (version === 4 ? 32 : 128) && !network!.includes("%")
      ? `${network}/${bits}`
      : refuse(at, `an IPv${version} CIDR`)
  }

function plain(value: unknown, at: string): object {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : refuse(at, "an object")
}

function own(value: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(value, name)?.value
}
