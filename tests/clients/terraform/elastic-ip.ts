import type { TestCloud } from "../operations/cloud.ts"
import { only, type Replay, tagged, tagsOf } from "./replay.ts"

/** By the association that the address has at the moment: each has a number of its own. */
async function disassociate(ec2: TestCloud["ec2"], id: string): Promise<void> {
  const { Addresses: [address] = [] } = await ec2("DescribeAddresses", { AllocationIds: [id] })
  await ec2("DisassociateAddress", { AssociationId: address?.AssociationId })
}

/** Moved from one instance to another; the interface of the one before is sent along, as the provider has it in its state. */
export const elasticIp: Replay = {
  resource: "aws_eip",
  async create({ ec2, launch }) {
    const TagSpecifications = [tagged("elastic-ip", { step: "first" })]
    const { AllocationId = "" } = await ec2("AllocateAddress", { Domain: "vpc", TagSpecifications })
    await ec2("DescribeAddresses", { AllocationIds: [AllocationId] })
    const [InstanceId] = await launch()
    const { AssociationId = "" } = await ec2("AssociateAddress", { AllocationId, InstanceId })
    await ec2("DescribeAddresses", { Filters: [{ Name: "association-id", Values: [AssociationId] }] })
    return AllocationId
  },
  async read({ ec2 }, id) {
    const find = async () => (await ec2("DescribeAddresses", { AllocationIds: [id] })).Addresses
    const gone = ["InvalidAllocationID.NotFound", "InvalidAddress.NotFound"]
    const address = await only(find(), (each) => each.AllocationId === id, gone)
    if (address === undefined) return undefined
    await ec2("DescribeAddressesAttribute", { AllocationIds: [id], Attribute: "domain-name" })
    return {
      domain: address.Domain,
      instance: address.InstanceId,
      network_border_group: address.NetworkBorderGroup,
      network_interface: address.NetworkInterfaceId,
      private_ip: address.PrivateIpAddress,
      public_ip: address.PublicIp,
      public_ipv4_pool: address.PublicIpv4Pool,
      tags: tagsOf(address.Tags),
    }
  },
  planned: { domain: "vpc", network_border_group: "us-east-1", public_ipv4_pool: "amazon", tags: { step: "first" } },
  async update({ ec2, launch }, id, before) {
    const [InstanceId] = await launch()
    await disassociate(ec2, id)
    const NetworkInterfaceId = String(before["network_interface"])
    await ec2("AssociateAddress", { AllocationId: id, InstanceId, NetworkInterfaceId })
    // And back, so that the state is the one before but for the tags.
    await ec2("AssociateAddress", { AllocationId: id, InstanceId: String(before["instance"]), NetworkInterfaceId })
    await ec2("CreateTags", { Resources: [id], Tags: [{ Key: "step", Value: "second" }] })
  },
  changed: { tags: { step: "second" } },
  async destroy({ ec2 }, id) {
    await disassociate(ec2, id)
    await ec2("ReleaseAddress", { AllocationId: id, NetworkBorderGroup: "us-east-1" })
  },
}
