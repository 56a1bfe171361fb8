/** The configurations that CreateDhcpOptions takes, checked: keys and values as "DHCP option sets in Amazon VPC" lists them. */
import { raise } from "../errors.ts"
import type { Input } from "../handler.ts"
import { isAddress } from "../vpcs/addresses.ts"
import { type DhcpOptionsRecord, ownResolver } from "./record.ts"

type Configurations = DhcpOptionsRecord["configurations"]

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
const invalidValue = (key: string, value: string) =>
  invalid(`Value (${value.slice(0, 255)}) for parameter ${key} is invalid.`)

const serversPerKey = 4
/** A DHCP option holds no more. */
const textBytes = 255
const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
const domain = new RegExp(`^${label}(\\.${label})*$`, "i")

const servers = (isServer: (value: string) => boolean) => (key: string, given: readonly string[]) => {
  const values = given.flatMap((value) => value.split(",")).map((value) => value.trim())
  if (values.length > serversPerKey) throw invalid(`The parameter ${key} has more than ${serversPerKey} values.`)
  for (const value of values) if (!isServer(value)) throw invalidValue(key, value)
  return values
}

function only(key: string, given: readonly string[]): string {
  const [value = "", ...others] = given
  if (others.length > 0) throw invalid(`The parameter ${key} has more than one value.`)
  return value
}

/** Linux takes several domains in one value, with spaces between. */
function domains(key: string, given: readonly string[]): readonly string[] {
  const value = only(key, given)
  if (value.length > textBytes || !value.split(" ").every((name) => name.length <= 253 && domain.test(name)))
    throw invalidValue(key, value)
  return [value]
}

function nodeType(key: string, given: readonly string[]): readonly string[] {
  const value = only(key, given)
  if (!["1", "2", "4", "8"].includes(value)) throw invalidValue(key, value)
  return [value]
}

const readers: Readonly<Record<string, (key: string, given: readonly string[]) => readonly string[]>> = {
  "domain-name": domains,
  "domain-name-servers": servers((value) => value === ownResolver || isAddress(value)),
  "netbios-name-servers": servers(isAddress),
  "netbios-node-type": nodeType,
  "ntp-servers": servers(isAddress),
}

/** MissingParameter, InvalidParameterValue; UnsupportedOperation for leases of IPv6, which no guest has. */
export function readConfigurations(given: Input<"CreateDhcpOptions">["DhcpConfigurations"]): Configurations {
  if (given === undefined || given.length === 0) throw raise("MissingParameter", { name: "DhcpConfiguration" })
  const read = given.map(({ Key: key, Values: values = [] }) => {
    if (key === undefined || key === "") throw raise("MissingParameter", { name: "DhcpConfiguration.Key" })
    if (key === "ipv6-address-preferred-lease-time")
      throw raise("UnsupportedOperation", { operation: `CreateDhcpOptions with ${key}` })
    const reader = Object.hasOwn(readers, key) ? readers[key] : undefined
    if (reader === undefined)
      throw invalid(`Value (${key}) for parameter DhcpConfiguration.Key is invalid. Unknown DHCP option.`)
    if (values.length === 0) throw invalid(`The parameter ${key} has no value.`)
    return { key, values: reader(key, values) }
  })
  const twice = read.find(({ key }, at) => read.findIndex((other) => other.key === key) !== at)
  if (twice !== undefined) throw invalid(`The DHCP option ${twice.key} is given more than once.`)
  return read
}
