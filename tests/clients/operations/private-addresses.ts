/** Further private addresses of interfaces, and Elastic IPs that stand for them. */
import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

async function interfaceOf({ ec2 }: TestCloud, instance: string) {
  const Filters = [{ Name: "attachment.instance-id", Values: [instance] }]
  const { NetworkInterfaces: [own] = [] } = await ec2("DescribeNetworkInterfaces", { Filters })
  return own ?? assert.fail("no interface")
}

/** Those besides the primary one: "172.31.0.9 198.18.0.20", "172.31.0.10". */
async function addressesOf(cloud: TestCloud, instance: string): Promise<readonly string[]> {
  type Shown = NonNullable<Awaited<ReturnType<typeof interfaceOf>>["PrivateIpAddresses"]>
  const words = (all: Shown = []) =>
    all.map(({ PrivateIpAddress, Primary, Association }) => {
      const parts = [PrivateIpAddress, Primary === true ? "primary" : undefined, Association?.PublicIp]
      return parts.filter((part) => part !== undefined).join(" ")
    })
  const { Reservations } = await cloud.ec2("DescribeInstances", { InstanceIds: [instance] })
  const [primary = "", ...others] = words((await interfaceOf(cloud, instance)).PrivateIpAddresses)
  assert.match(primary, / primary/)
  const inInstance = words(Reservations?.[0]?.Instances?.[0]?.NetworkInterfaces?.[0]?.PrivateIpAddresses)
  assert.deepEqual(inInstance, [primary, ...others])
  return others
}

async function freeOf({ ec2 }: TestCloud, SubnetId: string) {
  return (await ec2("DescribeSubnets", { SubnetIds: [SubnetId] })).Subnets?.[0]?.AvailableIpAddressCount ?? 0
}

export const privateAddresses = {
  async AssignPrivateIpAddresses(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "AssignPrivateIpAddresses"
    const Filters = [{ Name: "availability-zone", Values: ["us-east-1f"] }]
    const { Subnets: [subnet] = [] } = await ec2("DescribeSubnets", { Filters })
    const SubnetId = subnet?.SubnetId ?? ""
    // "172.31.80.0/20": a block of it that nothing else here draws from.
    const at = (last: number) => `${(subnet?.CidrBlock ?? "").split(".").slice(0, 3).join(".")}.${last}`
    const reserved = { SubnetId, Cidr: `${at(64)}/26`, ReservationType: "explicit" as const }
    const { SubnetCidrReservation } = await ec2("CreateSubnetCidrReservation", reserved)
    const [first, second = ""] = await launch({ SubnetId, InstanceType: "t3.medium", MinCount: 2, MaxCount: 2 })
    const { NetworkInterfaceId = "", PrivateIpAddress = "" } = await interfaceOf(cloud, first)
    const other = (await interfaceOf(cloud, second)).NetworkInterfaceId
    const free = await freeOf(cloud, SubnetId)
    const named = await ec2(operation, { NetworkInterfaceId, PrivateIpAddresses: [at(64), at(65), at(64)] })
    assert.deepEqual(
      named.AssignedPrivateIpAddresses?.map((each) => each.PrivateIpAddress),
      [at(64), at(65)],
    )
    assert.deepEqual(await addressesOf(cloud, first), [at(64), at(65)])
    assert.equal(await freeOf(cloud, SubnetId), free - 2)
    const byAddress = [{ Name: "network-interface.addresses.private-ip-address", Values: [at(65)] }]
    assert.equal((await ec2("DescribeInstances", { Filters: byAddress })).Reservations?.length, 1)
    const drawn = await ec2(operation, { NetworkInterfaceId: other, SecondaryPrivateIpAddressCount: 1 })
    assert.equal(drawn.AssignedPrivateIpAddresses?.length, 1)
    assert.equal(drawn.NetworkInterfaceId, other)

    const refused = (input: object) => refusal(operation, { NetworkInterfaceId: other, ...input })
    const one = (address: string) => ({ PrivateIpAddresses: [address] })
    // A t3.medium has six for an interface.
    assert.equal(await refused({ SecondaryPrivateIpAddressCount: 5 }), "400 PrivateIpAddressLimitExceeded")
    assert.equal(await refused(one(at(64))), "400 InvalidParameterValue", "it is another's")
    const primary = { ...one(PrivateIpAddress), AllowReassignment: true }
    assert.equal(await refused(primary), "400 InvalidParameterValue", "a primary address never moves")
    for (const address of ["172.31.0.1000", "10.0.0.1", at(0), at(3)])
      assert.equal(await refused(one(address)), "400 InvalidParameterValue", address)
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(
      await refused({ ...one(at(70)), SecondaryPrivateIpAddressCount: 1 }),
      "400 InvalidParameterCombination",
    )
    assert.equal(await refused({ Ipv4PrefixCount: 1 }), "400 UnsupportedOperation")
    assert.equal(await refused({ SecondaryPrivateIpAddressCount: 0 }), "400 InvalidParameterValue")
    const nowhere = { NetworkInterfaceId: "eni-00000000", SecondaryPrivateIpAddressCount: 1 }
    assert.equal(await refusal(operation, nowhere), "400 InvalidNetworkInterfaceID.NotFound")

    // It moves with the Elastic IP that stands for it.
    const { AllocationId = "", PublicIp = "" } = await ec2("AllocateAddress", {})
    await ec2("AssociateAddress", { AllocationId, NetworkInterfaceId, PrivateIpAddress: at(64) })
    assert.deepEqual(await addressesOf(cloud, first), [`${at(64)} ${PublicIp}`, at(65)])
    const moving = { NetworkInterfaceId: other, PrivateIpAddresses: [at(64)], AllowReassignment: true }
    await ec2(operation, moving)
    assert.deepEqual(await addressesOf(cloud, first), [at(65)])
    assert.equal((await addressesOf(cloud, second)).includes(`${at(64)} ${PublicIp}`), true)
    const { Addresses: [elastic] = [] } = await ec2("DescribeAddresses", { AllocationIds: [AllocationId] })
    assert.deepEqual(
      [elastic?.InstanceId, elastic?.NetworkInterfaceId, elastic?.PrivateIpAddress],
      [second, other, at(64)],
    )
    await daemon.settled()
    await ec2("TerminateInstances", { InstanceIds: [first, second] })
    await daemon.settled()
    const { Addresses: [left] = [] } = await ec2("DescribeAddresses", { AllocationIds: [AllocationId] })
    assert.equal(left?.AssociationId, undefined)
    assert.equal(await freeOf(cloud, SubnetId), free + 2)
    await ec2("ReleaseAddress", { AllocationId })
    const id = SubnetCidrReservation?.SubnetCidrReservationId
    await ec2("DeleteSubnetCidrReservation", { SubnetCidrReservationId: id })
  },

  async UnassignPrivateIpAddresses(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "UnassignPrivateIpAddresses"
    const [instance] = await launch()
    const { NetworkInterfaceId = "", PrivateIpAddress = "" } = await interfaceOf(cloud, instance)
    const { AssignedPrivateIpAddresses: [given] = [] } = await ec2("AssignPrivateIpAddresses", {
      NetworkInterfaceId,
      SecondaryPrivateIpAddressCount: 1,
    })
    const second = given?.PrivateIpAddress ?? ""
    const { AllocationId = "", PublicIp = "" } = await ec2("AllocateAddress", {})
    const shown = async () => {
      const { Association } = await interfaceOf(cloud, instance)
      return [Association?.PublicIp === PublicIp, (await addressesOf(cloud, instance))[0]?.endsWith(PublicIp) ?? false]
    }
    // From one address of the interface to the other and back.
    for (const [address, primary] of [
      [second, false],
      [PrivateIpAddress, true],
      [second, false],
    ] as const) {
      await ec2("AssociateAddress", { AllocationId, NetworkInterfaceId, PrivateIpAddress: address })
      assert.deepEqual(await shown(), [primary, !primary])
    }
    const refused = (...PrivateIpAddresses: string[]) => refusal(operation, { NetworkInterfaceId, PrivateIpAddresses })
    assert.equal(await refused(PrivateIpAddress), "400 InvalidParameterValue")
    assert.equal(await refused(second, "172.31.0.250"), "400 InvalidParameterValue")
    await ec2(operation, { NetworkInterfaceId, PrivateIpAddresses: [second] })
    assert.deepEqual(await addressesOf(cloud, instance), [])
    const { Addresses: [elastic] = [] } = await ec2("DescribeAddresses", { AllocationIds: [AllocationId] })
    assert.deepEqual([elastic?.AssociationId, elastic?.PrivateIpAddress], [undefined, undefined])
    await ec2("ReleaseAddress", { AllocationId })
    await daemon.settled()
    assert.equal(await refused(second), "400 InvalidParameterValue", "it has none any more")
    assert.equal(await refused(), "400 MissingParameter")
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    const nowhere = { NetworkInterfaceId: "eni-00000000", PrivateIpAddresses: [second] }
    assert.equal(await refusal(operation, nowhere), "400 InvalidNetworkInterfaceID.NotFound")
  },
} satisfies Checks
