/** Address ranges as rules take them, brought to the form in which EC2 shows them. */
import { isIPv4, isIPv6 } from "node:net"
import ipaddr from "ipaddr.js"
import { raise } from "../errors.ts"

/** "10.1.2.3/16" -> "10.1.0.0/16". Throws InvalidParameterValue: an address without a length is no range. */
export function readCidr(text: string): string {
  const [address = "", length = "", ...rest] = text.split("/")
  if (!isIPv4(address) || !isLength(length, 32) || rest.length > 0) throw malformed(text)
  return `${ipaddr.IPv4.networkAddressFromCIDR(text).toString()}/${Number(length)}`
}

/** "2001:DB8::1/32" -> "2001:db8::/32". Throws InvalidParameterValue. */
export function readCidr6(text: string): string {
  const [address = "", length = "", ...rest] = text.split("/")
  if (!isIPv6(address) || address.includes("%") || !isLength(length, 128) || rest.length > 0) throw malformed(text)
  return `${ipaddr.IPv6.networkAddressFromCIDR(text).toRFC5952String()}/${Number(length)}`
}

const isLength = (text: string, max: number) => /^\d{1,3}$/.test(text) && Number(text) <= max
const malformed = (text: string) => raise("InvalidParameterValue", { detail: `CIDR block ${text} is malformed` })
