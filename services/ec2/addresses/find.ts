/** The Elastic IP address that a request means. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { type AddressRecord, addressKind } from "./record.ts"

/** By its allocation or by itself. InvalidAllocationID.NotFound, InvalidAddress.NotFound, MissingParameter, InvalidParameterCombination. */
export async function requireAddress(
  call: Call,
  allocation: string | undefined,
  ip: string | undefined,
): Promise<Resource<AddressRecord>> {
  if (allocation !== undefined && ip !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "You may specify public IP or allocation id, but not both in the same call",
    })
  if (allocation !== undefined || ip === undefined) return call.require(addressKind, allocation, "AllocationId")
  const [found] = await call.list(addressKind, "public-ip", ip)
  if (found === undefined) throw raise("InvalidAddress.NotFound", { ip })
  return found
}
