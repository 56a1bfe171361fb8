/** Addresses of a subnet that nobody holds and nobody has reserved. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { findSomeNumbers } from "#cloud/resources/numbers.ts"
import { raise } from "../errors.ts"
import { parseNetwork, toAddress, toNumber, usableRange } from "./addresses.ts"
import type { SubnetRecord } from "./record.ts"
import { subnetScope } from "./subnet-scope.ts"

type Subnet = Resource<SubnetRecord>

/** Found, not claimed: `most`, or as many as there are. */
export async function freeAddresses(call: Call, subnet: Subnet, most: number): Promise<readonly string[]> {
  const found: string[] = []
  for (const { first, last } of openRanges(subnet.record)) {
    if (found.length >= most) break
    const wanted = most - found.length
    const numbers = await findSomeNumbers(call.store, subnetScope(subnet.id), first, last, wanted)
    found.push(...numbers.map(toAddress))
  }
  return found
}

interface Range {
  readonly first: number
  readonly last: number
}

/** What reservations leave of a subnet, the largest range first. */
function openRanges({ cidr, reserved = [] }: SubnetRecord): readonly Range[] {
  const { first, last } = usableRange(cidr)
  let open: readonly Range[] = [{ first, last }]
  for (const { base, size } of reserved.map(parseNetwork))
    open = open.flatMap((range) =>
      [
        { first: range.first, last: Math.min(range.last, base - 1) },
        { first: Math.max(range.first, base + size), last: range.last },
      ].filter((rest) => rest.first <= rest.last && rest.first >= range.first && rest.last <= range.last),
    )
  return open.toSorted((a, b) => b.last - b.first - (a.last - a.first))
}

/** Throws InvalidParameterValue for an address that no instance of the subnet can have. */
export function requireUsable(subnet: Subnet, address: string): void {
  const { first, last } = usableRange(subnet.record.cidr)
  const number = toNumber(address)
  if (number < first || number > last)
    throw raise("InvalidParameterValue", {
      detail: `Address ${address} does not fall within the subnet's address range`,
    })
}
