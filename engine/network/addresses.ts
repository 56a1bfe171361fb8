/** IPv4 arithmetic on unsigned 32-bit numbers. Strict: dotted quads only, and a CIDR must be the network's own address. */
import { isIPv4 } from "node:net"
import type { HeldAddress, PortSpec } from "./types.ts"

export interface Range {
  readonly first: number
  readonly last: number
  readonly prefixLength: number
}

/** "10.0.0.1" as a number. Throws on anything that is not a dotted quad. */
export function parseAddress(text: string): number {
  if (!isIPv4(text)) throw new Error(`not an IPv4 address: ${JSON.stringify(text)}`)
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)
}

export function formatAddress(address: number): string {
  return [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join(".")
}

/** "10.0.0.0/8" as its first and last address. Throws when host bits are set, unless `loose`. */
export function parseCidr(text: string, loose = false): Range {
  const [, address, length] = /^([0-9.]{7,15})\/([0-9]{1,2})$/.exec(text) ?? []
  const prefixLength = Number(length)
  if (address === undefined || !(prefixLength <= 32)) throw new Error(`not an IPv4 CIDR: ${JSON.stringify(text)}`)
  const given = parseAddress(address)
  const size = 2 ** (32 - prefixLength)
  const first = given - (given % size)
  if (first !== given && !loose) throw new Error(`${text} has host bits set`)
  return { first, last: first + size - 1, prefixLength }
}

export const formatCidr = (range: Range) => `${formatAddress(range.first)}/${range.prefixLength}`
export const overlaps = (a: Range, b: Range) => a.first <= b.last && b.first <= a.last
export const contains = (outer: Range, inner: Range) => outer.first <= inner.first && inner.last <= outer.last
export const holds = (range: Range, address: number) => range.first <= address && address <= range.last

/** The same set of addresses without duplicates or ranges inside others: nft refuses overlapping elements of a set. */
export function withoutOverlaps(cidrs: readonly string[]): string[] {
  const ranges = cidrs.map((cidr) => parseCidr(cidr, true)).toSorted((a, b) => a.first - b.first || b.last - a.last)
  const kept: Range[] = []
  for (const range of ranges) {
    const previous = kept.at(-1)
    if (previous === undefined || range.first > previous.last) kept.push(range)
  }
  return kept.map(formatCidr)
}

/** Every address of a port, its first one ahead. */
export function addressesOf(port: Pick<PortSpec, "address" | "publicAddress" | "secondary">): readonly HeldAddress[] {
  const { address, publicAddress, secondary = [] } = port
  return [{ address, ...(publicAddress === undefined ? {} : { publicAddress }) }, ...secondary]
}

const infrastructureBase = parseAddress("100.64.0.0")

/** The address by which the infrastructure namespace knows a port: unique in the home, whatever its private address is. */
export const infrastructureAddress = (portNumber: number) => formatAddress(infrastructureBase + portNumber)
