/** Ids that are none and ids of nothing, in every place where an operation that is done takes one. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { microImage } from "#images/catalog.ts"
import { handlers } from "#services/ec2/service.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { operationShapes, type Shape } from "#wire/schema/shape.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { createClient } from "./client.ts"
import { findAll } from "./xml.ts"

/** Codes as "Error codes for the Amazon EC2 API" has them: of an id that is none, and of one that is nothing's. */
const rows = {
  instance: ["i", "InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound"],
  image: ["ami", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound"],
  group: ["sg", "InvalidGroupId.Malformed", "InvalidGroup.NotFound"],
  rule: ["sgr", "InvalidSecurityGroupRuleId.Malformed", "InvalidSecurityGroupRuleId.NotFound"],
  keyPair: ["key", "InvalidParameterValue", "InvalidKeyPair.NotFound"],
  subnet: ["subnet", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound"],
  vpc: ["vpc", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound"],
  volume: ["vol", "InvalidParameterValue", "InvalidVolume.NotFound"],
  networkInterface: ["eni", "InvalidNetworkInterfaceId.Malformed", "InvalidNetworkInterfaceID.NotFound"],
  routeTable: ["rtb", "InvalidRouteTableId.Malformed", "InvalidRouteTableID.NotFound"],
  internetGateway: ["igw", "InvalidInternetGatewayId.Malformed", "InvalidInternetGatewayID.NotFound"],
  eventWindow: ["iew", "InvalidInstanceEventWindowID.Malformed", "InvalidInstanceEventWindowID.NotFound"],
  reservation: ["cr", "InvalidCapacityReservationId.Malformed", "InvalidCapacityReservationId.NotFound"],
  allocation: ["eipalloc", "InvalidAllocationID.NotFound", "InvalidAllocationID.NotFound"],
} as const
type Row = (typeof rows)[keyof typeof rows]

/** The parameters, by the name that the model gives them. */
const kinds: Readonly<Record<string, Row>> = {
  InstanceId: rows.instance,
  InstanceIds: rows.instance,
  ImageId: rows.image,
  ImageIds: rows.image,
  GroupId: rows.group,
  GroupIds: rows.group,
  Groups: rows.group,
  SecurityGroupIds: rows.group,
  SecurityGroupRuleIds: rows.rule,
  KeyPairId: rows.keyPair,
  KeyPairIds: rows.keyPair,
  SubnetId: rows.subnet,
  SubnetIds: rows.subnet,
  VpcId: rows.vpc,
  VpcIds: rows.vpc,
  VolumeIds: rows.volume,
  NetworkInterfaceIds: rows.networkInterface,
  RouteTableIds: rows.routeTable,
  InternetGatewayIds: rows.internetGateway,
  AllocationIds: rows.allocation,
  CapacityReservationId: rows.reservation,
  CapacityReservationIds: rows.reservation,
  InstanceEventWindowId: rows.eventWindow,
  InstanceEventWindowIds: rows.eventWindow,
}

/** Parameters whose name says another kind than their operation means. */
const ofAnotherKind: ReadonlySet<string> = new Set([
  "DescribePlacementGroups GroupIds",
  "ModifyInstancePlacement GroupId",
])

interface Scene {
  readonly instance: string
  readonly group: string
  readonly allocation: string
  readonly networkInterface: string
}
type Others = Readonly<Record<string, string>>

const launch = { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: "1", MaxCount: "1" }
const rule = { IpProtocol: "tcp", FromPort: "1", ToPort: "1", CidrIp: "192.0.2.0/24" }

/** What else an operation needs before it looks at the id: by operation, or by operation and parameter. */
function othersFor({ instance, group, allocation, networkInterface }: Scene): Readonly<Record<string, Others>> {
  return {
    RunInstances: launch,
    AssociateAddress: { AllocationId: allocation },
    AuthorizeSecurityGroupIngress: rule,
    RevokeSecurityGroupIngress: rule,
    "RevokeSecurityGroupIngress SecurityGroupRuleId.1": { GroupId: group },
    "RevokeSecurityGroupEgress SecurityGroupRuleId.1": { GroupId: group },
    AssociateDhcpOptions: { DhcpOptionsId: "default" },
    CreateSubnetCidrReservation: { Cidr: "172.31.0.16/28", ReservationType: "explicit" },
    CreateSecurityGroup: { GroupName: "of-no-vpc", GroupDescription: "x" },
    DescribeVpcAttribute: { Attribute: "enableDnsSupport" },
    DescribeInstanceAttribute: { Attribute: "userData" },
    ModifyInstanceAttribute: { "DisableApiStop.Value": "true" },
    AssociateInstanceEventWindow: { "AssociationTarget.InstanceTag.1.Key": "a" },
    DisassociateInstanceEventWindow: { "AssociationTarget.InstanceTag.1.Key": "a" },
    ModifyInstanceEventWindow: { Name: "x" },
    ModifyCapacityReservation: { InstanceCount: "1" },
    ModifyInstanceCapacityReservationAttributes: {
      "CapacityReservationSpecification.CapacityReservationPreference": "none",
    },
    CreateImage: { Name: "of nothing" },
    "CreateReplaceRootVolumeTask ImageId": { InstanceId: instance },
    DescribeImageAttribute: { Attribute: "description" },
    EnableImageDeprecation: { DeprecateAt: "2040-01-01T00:00:00Z" },
    ModifyImageAttribute: { "Description.Value": "x" },
    ModifyInstanceCpuOptions: { CoreCount: "1", ThreadsPerCore: "1" },
    "ModifyNetworkInterfaceAttribute SecurityGroupId.1": { NetworkInterfaceId: networkInterface },
    ModifyPrivateDnsNameOptions: { PrivateDnsHostnameType: "ip-name" },
    ModifySubnetAttribute: { "MapPublicIpOnLaunch.Value": "true" },
    ModifyVpcAttribute: { "EnableDnsSupport.Value": "true" },
    ResetImageAttribute: { Attribute: "launchPermission" },
    ModifyInstanceMaintenanceOptions: { AutoRecovery: "disabled" },
    ModifyInstancePlacement: { Affinity: "default" },
    ResetInstanceAttribute: { Attribute: "sourceDestCheck" },
    "ModifyInstanceAttribute GroupId.1": { InstanceId: instance },
    ModifySecurityGroupRules: {
      "SecurityGroupRule.1.SecurityGroupRuleId": "sgr-0123456789abcdef0",
      "SecurityGroupRule.1.SecurityGroupRule.Description": "x",
    },
  }
}

/** `$` stands for the prefix of the kind. */
const wrong = ["x", "-", "0123456789abcdef0", "$-", "$-123", "$-0123456789abcdeg0", "$-0123456789ABCDEF0", "$-{60000}"]
/** Deleting what is not there has always been fine for key pairs. */
const allowed = "DeleteKeyPair KeyPairId InvalidKeyPair.NotFound"

test("ids that are none and ids of nothing are refused by name, everywhere, and change nothing", async (t) => {
  const daemon = await startSimDaemon({ auth: "off" })
  t.after(() => daemon.stop())
  const client = createClient(daemon.endpoint)
  t.after(() => client.close())
  const [instance] = findAll(await client.ok("RunInstances", launch), "instanceId")
  const [group] = findAll(await client.ok("DescribeSecurityGroups"), "groupId")
  const [allocation] = findAll(await client.ok("AllocateAddress"), "allocationId")
  const [networkInterface] = findAll(await client.ok("DescribeNetworkInterfaces"), "networkInterfaceId")
  assert.ok(instance && group && allocation && networkInterface)
  const others = othersFor({
    instance: instance.text,
    group: group.text,
    allocation: allocation.text,
    networkInterface: networkInterface.text,
  })
  await daemon.settled()
  const everything = async () => {
    const answers = [await client.ok("DescribeInstances"), await client.ok("DescribeSecurityGroups")]
    return answers.map(({ children }) => children.filter(({ name }) => name !== "requestId"))
  }
  const before = await everything()
  const schemas = await loadSchemas("ec2")
  let places = 0
  for (const operation of Object.keys(handlers))
    for (const [path, row] of placesOf(operation, operationShapes(schemas[operation]).input)) {
      places++
      const [prefix, malformed, missing] = row
      const place = `${operation} ${path}`
      const refused = async (id: string, code: string) => {
        const answer = await client.call(operation, { ...(others[place] ?? others[operation]), [path]: id })
        const isAllowed = `${place} ${code}` === allowed && answer.code === ""
        assert.ok(answer.code === code || isAllowed, `${place}=${id.slice(0, 60)}: ${answer.code} ${answer.message}`)
      }
      await refused(`${prefix}-0123456789abcdef0`, missing)
      await refused(`${prefix}-01234567`, missing)
      for (const id of wrong) await refused(id.replace("{60000}", "0".repeat(60_000)).replace("$", prefix), malformed)
    }
  assert.ok(places > 30, `only ${places} places take an id`)
  assert.deepEqual(await everything(), before)
})

/** Parameters of an input, one level deep, that take ids of a kind. */
function placesOf(operation: string, input: Shape): readonly (readonly [string, Row])[] {
  if (input.kind !== "struct") return []
  return input.members().flatMap(({ name, names, shape }) => {
    const row = kinds[name]
    if (row === undefined || ofAnotherKind.has(`${operation} ${name}`)) return []
    const given = names.ec2QueryName ?? names.xmlName ?? name
    const key = `${given[0]?.toUpperCase()}${given.slice(1)}`
    return [[shape.kind === "list" ? `${key}.1` : key, row] as const]
  })
}
