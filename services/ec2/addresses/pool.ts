/** The home's public addresses, out of its pool: handed to running instances and taken back when they stop. */
import type { Call } from "#cloud/call.ts"
import { findNumbers } from "#cloud/resources/numbers.ts"
import { raise } from "../errors.ts"
import { parseNetwork, toAddress } from "../vpcs/addresses.ts"

/** Scope of the claims; keys are addresses as numbers. */
export const publicAddressScope = "public-address"
/** The first addresses of the pool are the host's own. */
const firstOffset = 16

/** `count` free public addresses, found but not claimed. Throws InsufficientAddressCapacity. */
export async function freePublicAddresses(call: Call, count: number): Promise<readonly string[]> {
  const { base, size } = parseNetwork(call.cloud.settings.publicCidr)
  const numbers = await findNumbers(call.store, publicAddressScope, base + firstOffset, base + size - 2, count)
  if (numbers === undefined) throw raise("InsufficientAddressCapacity")
  return numbers.map(toAddress)
}
