/** The home's public addresses, out of its pool: handed to running instances and taken back when they stop. */
import type { Call } from "#cloud/call.ts"
import { findSomeNumbers } from "#cloud/resources/numbers.ts"
import { raise } from "../errors.ts"
import { parseNetwork, toAddress } from "../vpcs/addresses.ts"

/** Scope of the claims; keys are addresses as numbers. */
export const publicAddressScope = "public-address"
/** The first addresses of the pool are the host's own. */
const firstOffset = 16

/** Free public addresses, found but not claimed: `count`, or fewer but `least`. Throws InsufficientAddressCapacity. */
export async function freePublicAddresses(call: Call, count: number, least = count): Promise<readonly string[]> {
  const { base, size } = parseNetwork(call.cloud.settings.publicCidr)
  const numbers = await findSomeNumbers(call.store, publicAddressScope, base + firstOffset, base + size - 2, count)
  if (numbers.length < least) throw raise("InsufficientAddressCapacity")
  return numbers.map(toAddress)
}
