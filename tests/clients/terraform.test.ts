/**
 * Terraform without Terraform: the calls that its AWS provider makes for each resource and lookup, and what it reads of the answers. With the program
 * itself it is tests/vm/terraform.long.test.ts.
 */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import * as sdk from "@aws-sdk/client-ec2"
import { openTestCloud, type TestCloud } from "./operations/cloud.ts"
import { elasticIp } from "./terraform/elastic-ip.ts"
import { imageCopy, imageOfInstance, snapshot } from "./terraform/images.ts"
import { instance, instanceOfTemplate } from "./terraform/instance.ts"
import { keyPair } from "./terraform/key-pair.ts"
import { launchTemplate } from "./terraform/launch-template.ts"
import { managedPrefixList } from "./terraform/managed-prefix-list.ts"
import { placementGroup } from "./terraform/placement-group.ts"
import { replay } from "./terraform/replay.ts"
import { egressRule, ingressRule } from "./terraform/security-group-rule.ts"
import { securityGroup, securityGroupRule } from "./terraform/security-group.ts"
import { bucket, object } from "./terraform/storage.ts"

let cloud: TestCloud
before(async () => {
  cloud = await openTestCloud()
})
after(() => cloud?.close())

const resources = [
  keyPair,
  launchTemplate,
  managedPrefixList,
  placementGroup,
  securityGroup,
  securityGroupRule,
  ingressRule,
  egressRule,
  bucket,
  object,
  elasticIp,
  instance,
  imageOfInstance,
  imageCopy,
  snapshot,
]
for (const each of resources)
  test(`${each.resource}: create, refresh without difference, update, destroy`, () => replay(cloud, each))
test("aws_instance of a launch template: create, refresh without difference, update, destroy", () =>
  replay(cloud, instanceOfTemplate))

test("the provider's own calls: whose account it is, and from an ARN", async () => {
  const { Account, Arn } = await cloud.sts("GetCallerIdentity", {})
  assert.equal(Arn?.split(":")[4], Account)
})

test("data aws_ami: one image by owner and name, with the blocks that are kept", async () => {
  const Filters = [{ Name: "name", Values: ["fractus-micro-*"] }]
  const { Images = [] } = await cloud.ec2("DescribeImages", { Owners: ["amazon"], IncludeDeprecated: false, Filters })
  assert.ok(Images.length > 0)
  // The newest of them, by the text of its date.
  for (const { CreationDate } of Images) assert.match(CreationDate ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
  const [image] = Images
  const [mapping] = image?.BlockDeviceMappings ?? []
  assert.equal(mapping?.DeviceName, image?.RootDeviceName)
  const blanks = ["Architecture", "Hypervisor", "ImageLocation", "ImageType", "OwnerId", "PlatformDetails"] as const
  for (const name of [...blanks, "RootDeviceType", "State", "UsageOperation", "VirtualizationType"] as const)
    assert.ok(image?.[name], name)
  // It asks for the image as if it were an instance; an error of the client's is taken for an answer.
  const { endpoint, credentials } = cloud.daemon
  const client = new sdk.EC2Client({ endpoint, credentials, region: "us-east-1", maxAttempts: 1 })
  const asked = client.send(new sdk.GetInstanceUefiDataCommand({ InstanceId: image?.ImageId ?? "" }))
  await assert.rejects(asked, ({ $metadata }) => $metadata.httpStatusCode === 400)
  client.destroy()
})

test("data aws_vpc, aws_subnets, aws_subnet, aws_security_group: the default ones, each once", async () => {
  const { ec2 } = cloud
  const { Vpcs = [] } = await ec2("DescribeVpcs", { Filters: [{ Name: "isDefault", Values: ["true"] }] })
  assert.equal(Vpcs.length, 1)
  const { VpcId = "", OwnerId, CidrBlockAssociationSet } = Vpcs[0] ?? {}
  assert.deepEqual([OwnerId, CidrBlockAssociationSet?.length], [cloud.daemon.credentials.account, 1])
  const attribute = (Attribute: sdk.VpcAttributeName) => ec2("DescribeVpcAttribute", { VpcId, Attribute })
  assert.equal((await attribute("enableDnsHostnames")).EnableDnsHostnames?.Value, true)
  assert.equal((await attribute("enableDnsSupport")).EnableDnsSupport?.Value, true)
  const metrics = await attribute("enableNetworkAddressUsageMetrics")
  assert.equal(metrics.EnableNetworkAddressUsageMetrics?.Value, false)
  const ofVpc = { Name: "vpc-id", Values: [VpcId] }
  const main = [{ Name: "association.main", Values: ["true"] }, ofVpc]
  assert.equal((await ec2("DescribeRouteTables", { Filters: main })).RouteTables?.length, 1)
  const { Subnets = [] } = await ec2("DescribeSubnets", { Filters: [ofVpc] })
  for (const { SubnetId = "", SubnetArn, ...subnet } of Subnets) {
    const { Subnets: [same, ...more] = [] } = await ec2("DescribeSubnets", { SubnetIds: [SubnetId] })
    assert.deepEqual([same, more], [{ SubnetId, SubnetArn, ...subnet }, []])
    assert.match(SubnetArn ?? "", new RegExp(`:subnet/${SubnetId}$`))
    assert.equal(subnet.PrivateDnsNameOptionsOnLaunch?.HostnameType, "ip-name")
  }
  const named = [{ Name: "group-name", Values: ["default"] }, ofVpc]
  assert.equal((await ec2("DescribeSecurityGroups", { Filters: named })).SecurityGroups?.length, 1)
})

test("data aws_ssm_parameter, aws_availability_zones, aws_ec2_instance_type", async () => {
  const { ec2, ssm } = cloud
  const Name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
  const { Parameter } = await ssm("GetParameter", { Name, WithDecryption: true })
  assert.deepEqual(
    [Parameter?.Value, Parameter?.Type, Parameter?.Version, Parameter?.ARN?.startsWith("arn:aws:ssm:")],
    [cloud.image, "String", 1, true],
  )
  const Filters = [
    { Name: "state", Values: ["available"] },
    { Name: "opt-in-status", Values: ["opt-in-not-required"] },
    { Name: "zone-type", Values: ["availability-zone"] },
  ]
  const { AvailabilityZones = [] } = await ec2("DescribeAvailabilityZones", { Filters })
  assert.ok(AvailabilityZones.length >= 2)
  for (const { ZoneName, ZoneId, GroupName } of AvailabilityZones) assert.ok(ZoneName && ZoneId && GroupName)
  const { InstanceTypes: [type, ...more] = [] } = await ec2("DescribeInstanceTypes", { InstanceTypes: ["t3.micro"] })
  assert.deepEqual(more, [])
  // Each is read without a look whether it is there.
  const groups = ["VCpuInfo", "EbsInfo", "NetworkInfo", "MemoryInfo", "ProcessorInfo", "PlacementGroupInfo"] as const
  for (const group of groups) assert.equal(typeof type?.[group], "object", group)
})
