/** The default VPC of a region: one /16, a /20 per zone, an internet gateway, a main route table, the default security group. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { type VpcRecord, vpcKind } from "./record.ts"

/** The caller's default VPC in this region, or undefined if it was deleted. */
export async function defaultVpcOf(call: Call): Promise<Resource<VpcRecord> | undefined> {
  return (await call.list(vpcKind, "is-default", "true"))[0]
}
