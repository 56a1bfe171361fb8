/** Elastic IP addresses, alone and on instances. */
import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = { AllocationId: "eipalloc-00000000000000000" }

async function allocate({ ec2 }: TestCloud): Promise<{ readonly AllocationId: string; readonly PublicIp: string }> {
  const { AllocationId = "", PublicIp = "" } = await ec2("AllocateAddress", { Domain: "vpc" })
  return { AllocationId, PublicIp }
}

async function shown({ ec2 }: TestCloud, AllocationId: string) {
  const { Addresses } = await ec2("DescribeAddresses", { AllocationIds: [AllocationId] })
  return Addresses?.[0] ?? assert.fail("no address")
}

/** What an instance says of its public address, and what its interface says. */
async function publicOf({ ec2 }: TestCloud, id: string) {
  const { Reservations } = await ec2("DescribeInstances", { InstanceIds: [id] })
  const instance = Reservations?.[0]?.Instances?.[0] ?? assert.fail("no instance")
  const [own] = instance.NetworkInterfaces ?? []
  assert.equal(own?.Association?.PublicIp, instance.PublicIpAddress)
  return { ip: instance.PublicIpAddress, name: instance.PublicDnsName, owner: own?.Association?.IpOwnerId, own }
}

async function release({ ec2 }: TestCloud, ...ids: readonly string[]): Promise<void> {
  for (const AllocationId of ids) await ec2("ReleaseAddress", { AllocationId })
}

export const addresses = {
  async AllocateAddress(cloud) {
    const { ec2, refusal } = cloud
    const operation = "AllocateAddress"
    const Tags = [{ Key: "of", Value: "elastic" }]
    const made = await ec2(operation, { TagSpecifications: [{ ResourceType: "elastic-ip", Tags }] })
    const { AllocationId = "", PublicIp } = made
    assert.match(AllocationId, /^eipalloc-[0-9a-f]{17}$/)
    assert.match(PublicIp ?? "", /^198\.1[89]\./)
    assert.deepEqual([made.Domain, made.PublicIpv4Pool, made.NetworkBorderGroup], ["vpc", "amazon", "us-east-1"])
    const address = await shown(cloud, AllocationId)
    assert.deepEqual([address.PublicIp, address.Tags, address.AssociationId], [PublicIp, Tags, undefined])
    assert.equal(await refusal(operation, { Domain: "standard" }), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, { NetworkBorderGroup: "us-west-2" }), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, { PublicIpv4Pool: "ipv4pool-ec2-1" }), "400 InvalidPublicIpv4PoolID.NotFound")
    assert.equal(await refusal(operation, { Address: "198.18.0.99" }), "400 UnsupportedOperation")
    assert.equal(await refusal(operation, { DryRun: true }), "412 DryRunOperation")
    // Five in a region, and room again for each that is released.
    const others: string[] = []
    for (let count = 1; count < 5; count++) others.push((await allocate(cloud)).AllocationId)
    assert.equal(await refusal(operation, {}), "400 AddressLimitExceeded")
    await release(cloud, AllocationId)
    others.push((await allocate(cloud)).AllocationId)
    await release(cloud, ...others)
  },

  async AssociateAddress(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "AssociateAddress"
    const [first] = await launch()
    const [second] = await launch()
    const before = await publicOf(cloud, first)
    assert.equal(before.owner, "amazon")
    const { AllocationId, PublicIp } = await allocate(cloud)
    const { AssociationId } = await ec2(operation, { AllocationId, InstanceId: first })
    assert.match(AssociationId ?? "", /^eipassoc-[0-9a-f]{17}$/)
    const on = await publicOf(cloud, first)
    assert.deepEqual([on.ip, on.owner, on.own?.Association?.PublicIp], [PublicIp, daemon.credentials.account, PublicIp])
    assert.ok(on.name?.startsWith(`ec2-${PublicIp.replaceAll(".", "-")}`))
    const address = await shown(cloud, AllocationId)
    assert.deepEqual(
      [address.InstanceId, address.NetworkInterfaceId, address.PrivateIpAddress, address.AssociationId],
      [first, on.own?.NetworkInterfaceId, on.own?.PrivateIpAddress, AssociationId],
    )
    assert.equal((await ec2(operation, { AllocationId, InstanceId: first })).AssociationId, AssociationId)

    const refused = (input: object) => refusal(operation, { AllocationId, ...input })
    assert.equal(await refused({ InstanceId: second, AllowReassociation: false }), "400 Resource.AlreadyAssociated")
    const other = await allocate(cloud)
    const onFirst = { AllocationId: other.AllocationId, InstanceId: first, AllowReassociation: false }
    assert.equal(await refused(onFirst), "400 Resource.AlreadyAssociated")
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ InstanceId: second, PrivateIpAddress: "172.31.0.5" }), "400 InvalidParameterValue")
    assert.equal(await refused({ InstanceId: second, ...nowhere }), "400 InvalidAllocationID.NotFound")
    assert.equal(await refused({ InstanceId: second, PublicIp }), "400 InvalidParameterCombination")
    assert.equal(await refused({ InstanceId: second, DryRun: true }), "412 DryRunOperation")

    // Moved to the other: the first has an address of the pool again, the second's own went back to it.
    // Where both are named, as Terraform does it, the instance counts.
    await ec2(operation, { PublicIp, InstanceId: second, NetworkInterfaceId: on.own?.NetworkInterfaceId })
    const [left, moved] = [await publicOf(cloud, first), await publicOf(cloud, second)]
    assert.equal(moved.ip, PublicIp)
    assert.equal(left.owner, "amazon")
    // Onto one that has an Elastic IP: that is free, and still allocated.
    await ec2(operation, { AllocationId: other.AllocationId, NetworkInterfaceId: moved.own?.NetworkInterfaceId })
    assert.equal((await shown(cloud, AllocationId)).InstanceId, undefined)
    assert.equal((await publicOf(cloud, second)).ip, other.PublicIp)
    await keptWhileStopped(cloud, second, other.PublicIp)
    await ec2("TerminateInstances", { InstanceIds: [first, second] })
    await daemon.settled()
    const { AssociationId: gone, InstanceId: nobody } = await shown(cloud, other.AllocationId)
    assert.deepEqual([gone, nobody], [undefined, undefined])
    assert.equal(await refused({ InstanceId: first }), "400 IncorrectInstanceState")
    await release(cloud, AllocationId, other.AllocationId)
  },

  async DisassociateAddress(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "DisassociateAddress"
    const [id] = await launch()
    const { AllocationId, PublicIp } = await allocate(cloud)
    const { AssociationId } = await ec2("AssociateAddress", { AllocationId, InstanceId: id })
    assert.equal(await refusal(operation, { AssociationId, DryRun: true }), "412 DryRunOperation")
    await ec2(operation, { AssociationId })
    assert.equal((await shown(cloud, AllocationId)).AssociationId, undefined)
    const { ip, owner } = await publicOf(cloud, id)
    assert.notEqual(ip, PublicIp)
    assert.equal(owner, "amazon")
    // By the address it may be said again.
    await ec2(operation, { PublicIp })
    assert.equal(await refusal(operation, { AssociationId }), "400 InvalidAssociationID.NotFound")
    assert.equal(await refusal(operation, {}), "400 MissingParameter")
    assert.equal(await refusal(operation, { PublicIp: "198.18.255.1" }), "400 InvalidAddress.NotFound")
    await release(cloud, AllocationId)
    // Nobody who has no public address gets one by this.
    const [bare] = await launch({ NetworkInterfaces: [{ DeviceIndex: 0, AssociatePublicIpAddress: false }] })
    const second = await allocate(cloud)
    await ec2("AssociateAddress", { AllocationId: second.AllocationId, InstanceId: bare })
    await ec2(operation, { PublicIp: second.PublicIp })
    assert.equal((await publicOf(cloud, bare)).ip, undefined)
    await release(cloud, second.AllocationId)
  },

  async ReleaseAddress(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ReleaseAddress"
    const [id] = await launch()
    const { AllocationId, PublicIp } = await allocate(cloud)
    await ec2("AssociateAddress", { AllocationId, InstanceId: id })
    const elsewhere = { AllocationId, NetworkBorderGroup: "eu-west-1" }
    assert.equal(await refusal(operation, elsewhere), "400 InvalidAddress.NotFound")
    assert.equal(await refusal(operation, { AllocationId, DryRun: true }), "412 DryRunOperation")
    // In a default VPC it is taken off the instance by itself.
    await ec2(operation, { AllocationId, NetworkBorderGroup: "us-east-1" })
    assert.equal((await publicOf(cloud, id)).owner, "amazon")
    assert.equal(await refusal(operation, { AllocationId }), "400 InvalidAllocationID.NotFound")
    assert.equal(await refusal("DescribeAddresses", { PublicIps: [PublicIp] }), "400 InvalidAddress.NotFound")
    assert.equal(await refusal(operation, {}), "400 MissingParameter")
  },

  async DescribeAddressesAttribute(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DescribeAddressesAttribute"
    const { AllocationId, PublicIp } = await allocate(cloud)
    const { Addresses } = await ec2(operation, { AllocationIds: [AllocationId], Attribute: "domain-name" })
    assert.deepEqual(Addresses, [{ AllocationId, PublicIp }])
    const unknown = { AllocationIds: [nowhere.AllocationId] }
    assert.equal(await refusal(operation, unknown), "400 InvalidAllocationID.NotFound")
    assert.equal(await refusal(operation, { Attribute: "colour" as never }), "400 InvalidParameterValue")
    await release(cloud, AllocationId)
  },
} satisfies Checks

/** An Elastic IP stays on an instance that stops, and comes off and on there too. */
async function keptWhileStopped(cloud: TestCloud, id: string, ip: string): Promise<void> {
  const { ec2, daemon } = cloud
  await ec2("StopInstances", { InstanceIds: [id] })
  await daemon.settled()
  assert.equal((await publicOf(cloud, id)).ip, ip)
  await ec2("DisassociateAddress", { PublicIp: ip })
  assert.equal((await publicOf(cloud, id)).ip, undefined)
  await ec2("AssociateAddress", { PublicIp: ip, InstanceId: id })
  await ec2("StartInstances", { InstanceIds: [id] })
  await daemon.settled()
  assert.equal((await publicOf(cloud, id)).ip, ip)
}
