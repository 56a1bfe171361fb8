/** What a VPC, a subnet and an instance say of names and public addresses. */
import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

async function shown({ ec2 }: TestCloud, id: string) {
  const { Reservations } = await ec2("DescribeInstances", { InstanceIds: [id] })
  return Reservations?.[0]?.Instances?.[0] ?? assert.fail("no instance")
}

export const networkNames = {
  async ModifyVpcAttribute(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ModifyVpcAttribute"
    const { Vpcs: [vpc] = [] } = await ec2("DescribeVpcs", {})
    const VpcId = vpc?.VpcId ?? ""
    const [off, on] = [{ Value: false }, { Value: true }]
    const [instance] = await launch()
    const name = (await shown(cloud, instance)).PublicDnsName
    assert.match(name ?? "", /^ec2-198-/)
    const namesOf = async () => {
      const {
        PublicDnsName,
        PublicIpAddress,
        PrivateDnsName,
        NetworkInterfaces: [own] = [],
      } = await shown(cloud, instance)
      assert.ok(PublicIpAddress)
      assert.match(PrivateDnsName ?? "", /^ip-172-31-.*\.ec2\.internal$/)
      const Filters = [{ Name: "dns-name", Values: ["ec2-*"] }]
      const found = (await ec2("DescribeInstances", { InstanceIds: [instance], Filters })).Reservations?.length
      return [PublicDnsName, own?.Association?.PublicDnsName, found]
    }
    await ec2(operation, { VpcId, EnableDnsHostnames: off })
    assert.deepEqual(await namesOf(), ["", "", 0])
    await ec2(operation, { VpcId, EnableDnsSupport: off })
    const refused = (input: object) => refusal(operation, { VpcId, ...input })
    assert.equal(await refused({ EnableDnsHostnames: on }), "400 InvalidParameterCombination")
    const { EnableDnsSupport } = await ec2("DescribeVpcAttribute", { VpcId, Attribute: "enableDnsSupport" })
    assert.deepEqual(EnableDnsSupport, off)
    await ec2(operation, { VpcId, EnableDnsSupport: on })
    assert.deepEqual(await namesOf(), ["", "", 0])
    await ec2(operation, { VpcId, EnableDnsHostnames: on })
    assert.deepEqual(await namesOf(), [name, name, 1])
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    assert.equal(await refused({}), "400 InvalidParameterCombination")
    assert.equal(await refused({ EnableDnsHostnames: on, EnableDnsSupport: on }), "400 InvalidParameterCombination")
    assert.equal(await refused({ EnableNetworkAddressUsageMetrics: on }), "400 UnsupportedOperation")
    assert.equal(await refused({ VpcId: "vpc-00000000", EnableDnsSupport: on }), "400 InvalidVpcID.NotFound")
  },

  async ModifySubnetAttribute(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ModifySubnetAttribute"
    const Filters = [{ Name: "availability-zone", Values: ["us-east-1e"] }]
    const subnet = async () => (await ec2("DescribeSubnets", { Filters })).Subnets?.[0] ?? assert.fail("no subnet")
    const { SubnetId = "" } = await subnet()
    const [off, on] = [{ Value: false }, { Value: true }]
    await ec2(operation, { SubnetId, MapPublicIpOnLaunch: off })
    await ec2(operation, { SubnetId, PrivateDnsHostnameTypeOnLaunch: "resource-name" })
    await ec2(operation, { SubnetId, EnableResourceNameDnsARecordOnLaunch: on })
    const options = {
      HostnameType: "resource-name",
      EnableResourceNameDnsARecord: true,
      EnableResourceNameDnsAAAARecord: false,
    }
    assert.equal((await subnet()).MapPublicIpOnLaunch, false)
    assert.deepEqual((await subnet()).PrivateDnsNameOptionsOnLaunch, options)
    const name = "private-dns-name-options-on-launch.hostname-type"
    const found = await ec2("DescribeSubnets", { Filters: [{ Name: name, Values: ["resource-name"] }] })
    assert.deepEqual(
      found.Subnets?.map((each) => each.SubnetId),
      [SubnetId],
    )
    const [plain] = await launch({ SubnetId })
    const [asked] = await launch({
      NetworkInterfaces: [{ DeviceIndex: 0, SubnetId, AssociatePublicIpAddress: true }],
      PrivateDnsNameOptions: { HostnameType: "ip-name" },
    })
    const first = await shown(cloud, plain)
    assert.deepEqual([first.PublicIpAddress, first.PublicDnsName], [undefined, ""])
    assert.deepEqual([first.PrivateDnsName, first.PrivateDnsNameOptions], [`${plain}.ec2.internal`, options])
    const second = await shown(cloud, asked)
    assert.match(second.PublicIpAddress ?? "", /^198\./)
    assert.match(second.PrivateDnsName ?? "", /^ip-172-31-/)
    assert.deepEqual(second.PrivateDnsNameOptions, { ...options, HostnameType: "ip-name" })
    await ec2("TerminateInstances", { InstanceIds: [plain, asked] })
    await ec2(operation, { SubnetId, MapPublicIpOnLaunch: on })
    await ec2(operation, { SubnetId, PrivateDnsHostnameTypeOnLaunch: "ip-name" })
    await ec2(operation, { SubnetId, EnableResourceNameDnsARecordOnLaunch: off })
    await ec2(operation, { SubnetId, AssignIpv6AddressOnCreation: off })
    const refused = (input: object) => refusal(operation, { SubnetId, ...input })
    assert.equal(await refused({}), "400 InvalidParameterCombination")
    assert.equal(
      await refused({ MapPublicIpOnLaunch: on, EnableResourceNameDnsARecordOnLaunch: on }),
      "400 InvalidParameterCombination",
    )
    assert.equal(await refused({ AssignIpv6AddressOnCreation: on }), "400 UnsupportedOperation")
    assert.equal(await refused({ EnableLniAtDeviceIndex: 1 }), "400 UnsupportedOperation")
    assert.equal(await refused({ PrivateDnsHostnameTypeOnLaunch: "pet-name" }), "400 InvalidParameterValue")
    const missing = { SubnetId: "subnet-00000000", MapPublicIpOnLaunch: on }
    assert.equal(await refused(missing), "400 InvalidSubnetID.NotFound")
  },

  async ModifyPrivateDnsNameOptions(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "ModifyPrivateDnsNameOptions"
    const [InstanceId] = await launch()
    const { PrivateDnsName } = await shown(cloud, InstanceId)
    const byId = { InstanceId, PrivateDnsHostnameType: "resource-name" as const }
    assert.equal(await refusal(operation, byId), "400 IncorrectInstanceState")
    assert.deepEqual(await ec2(operation, { InstanceId, EnableResourceNameDnsARecord: true }), { Return: true })
    const Filters = [{ Name: "private-dns-name-options.enable-resource-name-dns-a-record", Values: ["true"] }]
    const { Reservations } = await ec2("DescribeInstances", { InstanceIds: [InstanceId], Filters })
    assert.equal(Reservations?.length, 1)
    assert.equal((await shown(cloud, InstanceId)).PrivateDnsName, PrivateDnsName)
    await ec2("StopInstances", { InstanceIds: [InstanceId] })
    await daemon.settled()
    await ec2(operation, byId)
    const called = await shown(cloud, InstanceId)
    assert.equal(called.PrivateDnsName, `${InstanceId}.ec2.internal`)
    assert.equal(called.PrivateDnsNameOptions?.HostnameType, "resource-name")
    assert.equal(called.PrivateDnsNameOptions?.EnableResourceNameDnsARecord, true)
    await ec2("TerminateInstances", { InstanceIds: [InstanceId] })
    await daemon.settled()
    assert.equal(await refusal(operation, { InstanceId }), "400 MissingParameter")
    assert.equal(await refusal(operation, byId), "400 IncorrectInstanceState")
    const six = { InstanceId, EnableResourceNameDnsAAAARecord: true }
    assert.equal(await refusal(operation, six), "400 UnsupportedOperation")
    const missing = { ...byId, InstanceId: "i-00000000" }
    assert.equal(await refusal(operation, missing), "400 InvalidInstanceID.NotFound")
  },
} satisfies Checks
