/** What every Describe that is done refuses in the same way: filters, pages and ids that are none. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { handlers } from "#services/ec2/service.ts"
import { parametersOf } from "./filters/documented.ts"
import { type Ec2Operation, openTestCloud, type TestCloud } from "./operations/cloud.ts"

let cloud: TestCloud
before(async () => {
  cloud = await openTestCloud()
  const { SecurityGroups: [group] = [] } = await cloud.ec2("DescribeSecurityGroups", { GroupNames: ["default"] })
  besides["DescribeSecurityGroupReferences"] = { GroupId: [group?.GroupId ?? ""] }
  besides["DescribeStaleSecurityGroups"] = { VpcId: group?.VpcId ?? "" }
})
after(() => cloud?.close())

type Members = Readonly<Record<string, unknown>>

/** "Code: message" of a call that must be refused. */
async function refusal(operation: string, input: Members): Promise<string> {
  const said = await cloud.ec2(operation as Ec2Operation, input as never).then(
    () => "served",
    (error: Error) => `${error.name}: ${error.message}`,
  )
  return said
}

/** Parameter of ids (with the operation, where several call theirs so) -> what an id begins with, and the codes of one that cannot be and one that is not there. */
const ids: Readonly<Record<string, readonly [prefix: string, malformed: string, missing: string]>> = {
  AllocationIds: ["eipalloc", "InvalidAllocationID.NotFound", "InvalidAllocationID.NotFound"],
  CapacityReservationIds: ["cr", "InvalidCapacityReservationId.Malformed", "InvalidCapacityReservationId.NotFound"],
  DhcpOptionsIds: ["dopt", "InvalidDhcpOptionsId.Malformed", "InvalidDhcpOptionID.NotFound"],
  GroupIds: ["sg", "InvalidGroupId.Malformed", "InvalidGroup.NotFound"],
  "DescribePlacementGroups GroupIds": ["pg", "InvalidPlacementGroupId.Malformed", "InvalidPlacementGroup.Unknown"],
  HostIds: ["h", "InvalidHostID.Malformed", "InvalidHostID.NotFound"],
  ImageIds: ["ami", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound"],
  InstanceEventWindowIds: ["iew", "InvalidInstanceEventWindowID.Malformed", "InvalidInstanceEventWindowID.NotFound"],
  InstanceIds: ["i", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound"],
  InternetGatewayIds: ["igw", "InvalidInternetGatewayId.Malformed", "InvalidInternetGatewayID.NotFound"],
  KeyPairIds: ["key", "InvalidParameterValue", "InvalidKeyPair.NotFound"],
  LaunchTemplateIds: ["lt", "InvalidLaunchTemplateId.Malformed", "InvalidLaunchTemplateId.NotFound"],
  NetworkAclIds: ["acl", "InvalidNetworkAclId.Malformed", "InvalidNetworkAclID.NotFound"],
  NetworkInterfaceIds: ["eni", "InvalidNetworkInterfaceId.Malformed", "InvalidNetworkInterfaceID.NotFound"],
  PrefixListIds: ["pl", "InvalidPrefixListId.Malformed", "InvalidPrefixListID.NotFound"],
  ReplaceRootVolumeTaskIds: [
    "replacevol",
    "InvalidReplaceRootVolumeTaskId.Malformed",
    "InvalidReplaceRootVolumeTaskId.NotFound",
  ],
  RouteTableIds: ["rtb", "InvalidRouteTableId.Malformed", "InvalidRouteTableID.NotFound"],
  SecurityGroupRuleIds: ["sgr", "InvalidSecurityGroupRuleId.Malformed", "InvalidSecurityGroupRuleId.NotFound"],
  SnapshotIds: ["snap", "InvalidParameterValue", "InvalidSnapshot.NotFound"],
  SubnetIds: ["subnet", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound"],
  VolumeIds: ["vol", "InvalidParameterValue", "InvalidVolume.NotFound"],
  VpcIds: ["vpc", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound"],
}
/** Words of EC2's own refusals, where they are known. */
const togetherRefused: Readonly<Record<string, string>> = {
  DescribeImages: "The parameter imageIdsSet cannot be used with the parameter maxResults",
  DescribeInstances: "The parameter instancesSet cannot be used with the parameter maxResults",
  DescribeVolumes: "The parameter volumeSet cannot be used with the parameter maxResults",
  DescribeVpcs: "The parameter VpcIds cannot be used with the parameter MaxResults",
}

/** Ids of zones and of accounts. */
const noResources = new Set(["ZoneIds", "OwnerIds", "RestorableByUserIds"])

/** What an operation cannot be asked without. */
const besides: Record<string, Members> = { DescribeLaunchTemplateVersions: { Versions: ["$Latest"] } }

for (const operation of Object.keys(handlers).filter((name) => name.startsWith("Describe"))) {
  const parameters = parametersOf(operation)
  // Of one resource, with checks of its own.
  if (parameters.includes("Attribute")) continue
  test(`${operation} refuses what is none of its ${parameters.length} parameters' values`, async () => {
    const refused = async (input: Members, want: string) => {
      const said = await refusal(operation, { ...besides[operation], ...input })
      assert.ok(said.startsWith(want), `${JSON.stringify(input).slice(0, 200)}: ${said}`)
    }
    // DescribeHosts calls them "Filter".
    const filters = parameters.find((name) => name === "Filters" || name === "Filter")
    if (filters !== undefined) {
      const filtered = (filter: object, want: string) => refused({ [filters]: [filter] }, want)
      await filtered({ Name: "nope", Values: ["x"] }, "InvalidParameterValue: The filter 'nope' is invalid")
      await filtered({ Name: "tag-key" }, "InvalidParameterValue: The filter 'tag-key' has no values")
      await filtered({ Values: ["x"] }, "MissingParameter")
      const Values = Array.from({ length: 201 }, String)
      await filtered({ Name: "tag-key", Values }, "InvalidParameterValue: The maximum number of filter")
    }
    if (parameters.includes("MaxResults"))
      for (const MaxResults of [-1, 0, 1001, 2 ** 31 - 1]) await refused({ MaxResults }, "InvalidParameterValue")
    if (parameters.includes("NextToken")) await refused({ NextToken: "bm90aGluZw" }, "InvalidNextToken")
    for (const name of parameters.filter((each) => each.endsWith("Ids") && !noResources.has(each))) {
      const [prefix, malformed, missing] =
        ids[`${operation} ${name}`] ?? ids[name] ?? assert.fail(`${name} is not in this test's table`)
      for (const bad of [`${prefix}-bad`, "", "x-0123456789abcdef0", `${prefix}-0123456789ABCDEF0`])
        await refused({ [name]: [bad] }, malformed)
      const unknown = `${prefix}-00000000000000000`
      await refused({ [name]: [unknown] }, missing)
      if (parameters.includes("MaxResults"))
        await refused(
          { [name]: [unknown], MaxResults: 20 },
          `InvalidParameterCombination: ${togetherRefused[operation] ?? ""}`,
        )
    }
    if (parameters.includes("DryRun")) await refused({ DryRun: true }, "DryRunOperation")
  })
}
