/**
 * Protocols and port ranges of rules. Follows IpPermission of the API reference: tcp, udp and icmp need a range, icmpv6 may have one,
 * every other protocol means all ports whatever range is given.
 */
import { raise } from "../errors.ts"
import type { RuleProtocol } from "./record.ts"

export interface Traffic {
  readonly protocol: RuleProtocol
  readonly fromPort: number
  readonly toPort: number
}

interface Given {
  readonly IpProtocol?: string | undefined
  readonly FromPort?: number | undefined
  readonly ToPort?: number | undefined
}

const names: ReadonlyMap<number, RuleProtocol> = new Map([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [58, "icmpv6"],
])

/** Throws MissingParameter or InvalidParameterValue. */
export function readTraffic({ IpProtocol, FromPort, ToPort }: Given): Traffic {
  if (IpProtocol === undefined || IpProtocol === "") throw raise("MissingParameter", { name: "ipProtocol" })
  const protocol = readProtocol(IpProtocol)
  if (protocol === "tcp" || protocol === "udp") return { protocol, ...readPorts(FromPort, ToPort) }
  if (protocol === "icmp") return { protocol, ...readTypeAndCode(FromPort, ToPort) }
  if (protocol === "icmpv6" && (FromPort !== undefined || ToPort !== undefined))
    return { protocol, ...readTypeAndCode(FromPort, ToPort) }
  return { protocol, fromPort: -1, toPort: -1 }
}

function readProtocol(given: string): RuleProtocol {
  if (given === "-1") return given
  const named = [...names.values()].find((name) => name === given.toLowerCase())
  if (named !== undefined) return named
  const number = /^\d{1,3}$/.test(given) ? Number(given) : 256
  if (number > 255) throw invalid(`Invalid value '${given}' for IP protocol. Unknown protocol.`)
  return names.get(number) ?? `${number}`
}

function readPorts(from: number | undefined, to: number | undefined): Omit<Traffic, "protocol"> {
  if (from === undefined || to === undefined)
    throw invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
  for (const port of [from, to]) if (!isWithin(port, 0, 65_535)) throw invalid(`TCP/UDP port (${port}) out of range`)
  if (from > to) throw invalid(`Invalid TCP/UDP port range (${from}:${to})`)
  return { fromPort: from, toPort: to }
}

function readTypeAndCode(type: number | undefined, code: number | undefined): Omit<Traffic, "protocol"> {
  if (type === undefined || code === undefined)
    throw invalid("Invalid value 'Must specify both type and code with ICMP.' for portRange.")
  if (!isWithin(type, -1, 255)) throw invalid(`ICMP type (${type}) out of range`)
  if (!isWithin(code, -1, 255)) throw invalid(`ICMP code (${code}) out of range`)
  if (type === -1 && code !== -1) throw invalid(`ICMP code (${code}) needs an ICMP type`)
  return { fromPort: type, toPort: code }
}

const isWithin = (value: number, min: number, max: number) => Number.isInteger(value) && value >= min && value <= max
const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
