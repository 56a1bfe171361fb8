/** Quotas of security groups, as a new account has them ("Amazon VPC quotas"). */
import { raise } from "../errors.ts"

/** Groups on one network interface. */
export const groupsPerInterface = 5
/** Groups in a region. */
export const groupsPerRegion = 2500

/** SecurityGroupsPerInterfaceLimitExceeded. */
export function requireFewGroups(groups: readonly unknown[]): void {
  if (groups.length > groupsPerInterface) throw raise("SecurityGroupsPerInterfaceLimitExceeded")
}
