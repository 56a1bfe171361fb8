/** Arithmetic of IPv4 networks. Parsing is ipaddr.js's. */
import ipaddr from "ipaddr.js"

export interface Network {
  readonly base: number
  readonly bits: number
  /** Number of addresses. */
  readonly size: number
}

export function toNumber(address: string): number {
  return ipaddr.IPv4.parse(address)
    .toByteArray()
    .reduce((sum, byte) => sum * 256 + byte, 0)
}
export function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".")
}
export function parseNetwork(cidr: string): Network {
  const [address, bits] = ipaddr.IPv4.parseCIDR(cidr)
  const size = 2 ** (32 - bits)
  const value = toNumber(address.toString())
  return { base: value - (value % size), bits, size }
}
export function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text)
}
/** First and last address of a subnet that instances may have: AWS keeps the first four and the last. */
export function usableRange(cidr: string): { readonly first: number; readonly last: number; readonly count: number } {
  const { base, size } = parseNetwork(cidr)
  return { first: base + 4, last: base + size - 2, count: size - 5 }
}
