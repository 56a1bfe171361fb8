/** How many network interfaces there may be. */
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"
import { subnetKind } from "../vpcs/record.ts"
import { subnetScope } from "../vpcs/subnet-scope.ts"
import { portNumberScope } from "./record.ts"

/**
 * In a Region, which has one VPC. AWS gives 5,000; a VPC's router here takes 4,096 (engine/network/validate.ts), and calls that are served at
 * once may bring a few more than each of them counted.
 */
export const interfacesPerRegion = 4000

/** How many more a VPC may have, at most `most`. Throws NetworkInterfaceLimitExceeded where those are fewer than `least`. */
export async function roomForInterfaces(call: Call, vpc: string, most: number, least: number): Promise<number> {
  const { store } = call
  // Hardly any home has as many as one VPC may have.
  const all = (await store.countClaims([portNumberScope])).get(portNumberScope) ?? 0
  if (all + most <= interfacesPerRegion) return most
  const scopes = (await call.list(subnetKind, "vpc-id", vpc)).map(({ id }) => subnetScope(id))
  // An interface may have several addresses.
  const claims = await Promise.all(scopes.map((scope) => store.claims(scope)))
  const taken = new Set(claims.flat().map(({ owner }) => owner))
  const room = Math.min(most, interfacesPerRegion - taken.size)
  if (room < least) throw raise("NetworkInterfaceLimitExceeded")
  return room
}
