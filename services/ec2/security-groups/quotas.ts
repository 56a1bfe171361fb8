/** Quotas of security groups, as a new account has them ("Amazon VPC quotas"). */
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"

/** Groups on one network interface. */
export const groupsPerInterface = 5
/** Rules of a group in each direction and address family. */
export const rulesPerGroup = 60
/** Groups in a region. */
export const groupsPerRegion = 2500

/** SecurityGroupsPerInterfaceLimitExceeded. */
export function requireFewGroups(groups: readonly unknown[]): void {
  if (groups.length > groupsPerInterface) throw raise("SecurityGroupsPerInterfaceLimitExceeded")
}

const regionScope = (call: Call) => `security-group:${call.account}:${call.region}`

/** SecurityGroupLimitExceeded where a region has all the groups it may have. Default groups are not counted. */
export async function requireRoomForGroup(call: Call): Promise<void> {
  const scope = regionScope(call)
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= groupsPerRegion) throw raise("SecurityGroupLimitExceeded")
}

/** Counts a new group, as long as it is there. */
export function countGroup(call: Call, id: string): void {
  call.draft.claim(regionScope(call), id, id)
}
