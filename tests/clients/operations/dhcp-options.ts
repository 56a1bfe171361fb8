import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = "dopt-00000000000000000"
const servers = { Key: "domain-name-servers", Values: ["10.0.0.2", "AmazonProvidedDNS"] }

async function make({ ec2 }: TestCloud, ...DhcpConfigurations: { Key: string; Values: string[] }[]): Promise<string> {
  const { DhcpOptions } = await ec2("CreateDhcpOptions", { DhcpConfigurations })
  return DhcpOptions?.DhcpOptionsId ?? assert.fail("no options")
}

async function vpcOf({ ec2 }: TestCloud) {
  const { Vpcs: [vpc] = [] } = await ec2("DescribeVpcs", {})
  return { VpcId: vpc?.VpcId ?? "", DhcpOptionsId: vpc?.DhcpOptionsId ?? "" }
}

export const dhcpOptions = {
  async CreateDhcpOptions({ ec2, refusal }) {
    const operation = "CreateDhcpOptions"
    const Tags = [{ Key: "of", Value: "dhcp" }]
    const { DhcpOptions } = await ec2(operation, {
      DhcpConfigurations: [
        { Key: "domain-name", Values: ["example.com"] },
        servers,
        { Key: "ntp-servers", Values: ["10.0.0.3,10.0.0.4"] },
        { Key: "netbios-name-servers", Values: ["10.0.0.5"] },
        { Key: "netbios-node-type", Values: ["2"] },
      ],
      TagSpecifications: [{ ResourceType: "dhcp-options", Tags }],
    })
    assert.match(DhcpOptions?.DhcpOptionsId ?? "", /^dopt-[0-9a-f]{17}$/)
    assert.deepEqual(DhcpOptions?.Tags, Tags)
    assert.deepEqual(
      DhcpOptions?.DhcpConfigurations?.map(({ Key, Values }) => [Key, Values?.map(({ Value }) => Value)]),
      [
        ["domain-name", ["example.com"]],
        ["domain-name-servers", servers.Values],
        ["ntp-servers", ["10.0.0.3", "10.0.0.4"]],
        ["netbios-name-servers", ["10.0.0.5"]],
        ["netbios-node-type", ["2"]],
      ],
    )
    await ec2("DeleteDhcpOptions", { DhcpOptionsId: DhcpOptions?.DhcpOptionsId })
    const refused = (Key: string, ...Values: string[]) => refusal(operation, { DhcpConfigurations: [{ Key, Values }] })
    for (const [key = "", ...values] of [
      ["domain-name", "a_b.example"],
      ["domain-name", "a.example\nport=53"],
      ["domain-name", "a.example", "b.example"],
      ["domain-name-servers", "10.0.0.256"],
      ["domain-name-servers", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"],
      ["ntp-servers", "AmazonProvidedDNS"],
      ["ntp-servers"],
      ["netbios-node-type", "3"],
      ["boot-file", "x"],
      ["toString", "x"],
    ])
      assert.equal(await refused(key, ...values), "400 InvalidParameterValue", `${key} ${values.join()}`)
    assert.equal(await refused("ipv6-address-preferred-lease-time", "300"), "400 UnsupportedOperation")
    assert.equal(await refusal(operation, { DhcpConfigurations: [] }), "400 MissingParameter")
    assert.equal(await refusal(operation, { DhcpConfigurations: [servers, servers] }), "400 InvalidParameterValue")
  },

  async DescribeDhcpOptions(cloud) {
    const { ec2, refusal } = cloud
    const { DhcpOptionsId } = await vpcOf(cloud)
    const found = async (Name: string, ...Values: string[]) =>
      (await ec2("DescribeDhcpOptions", { Filters: [{ Name, Values }] })).DhcpOptions?.map((each) => each.DhcpOptionsId)
    // As Terraform's aws_default_vpc_dhcp_options looks for it.
    const { DhcpOptions } = await ec2("DescribeDhcpOptions", {
      Filters: [
        { Name: "key", Values: ["domain-name"] },
        { Name: "value", Values: ["ec2.internal"] },
        { Name: "key", Values: ["domain-name-servers"] },
        { Name: "value", Values: ["AmazonProvidedDNS"] },
      ],
    })
    assert.deepEqual(
      DhcpOptions?.map((each) => each.DhcpOptionsId),
      [DhcpOptionsId],
    )
    const other = await make(cloud, servers)
    assert.deepEqual(await found("value", "10.0.0.2"), [other])
    assert.deepEqual((await found("key", "domain-name-servers"))?.toSorted(), [DhcpOptionsId, other].toSorted())
    await ec2("DeleteDhcpOptions", { DhcpOptionsId: other })
    const missing = { DhcpOptionsIds: [other] }
    assert.equal(await refusal("DescribeDhcpOptions", missing), "400 InvalidDhcpOptionID.NotFound")
  },

  async AssociateDhcpOptions(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "AssociateDhcpOptions"
    const { VpcId, DhcpOptionsId: before } = await vpcOf(cloud)
    const other = await make(cloud, { Key: "domain-name", Values: ["example.com"] })
    const [instance] = await launch()
    await ec2(operation, { VpcId, DhcpOptionsId: other })
    assert.equal((await vpcOf(cloud)).DhcpOptionsId, other)
    const Filters = [{ Name: "dhcp-options-id", Values: [other] }]
    assert.equal((await ec2("DescribeVpcs", { Filters })).Vpcs?.length, 1)
    await ec2(operation, { VpcId, DhcpOptionsId: "default" })
    assert.equal((await vpcOf(cloud)).DhcpOptionsId, "default")
    await ec2("DeleteDhcpOptions", { DhcpOptionsId: other })
    await ec2(operation, { VpcId, DhcpOptionsId: before })
    await ec2("TerminateInstances", { InstanceIds: [instance] })
    assert.equal(await refusal(operation, { VpcId, DhcpOptionsId: other }), "400 InvalidDhcpOptionID.NotFound")
    const noVpc = { VpcId: "vpc-00000000", DhcpOptionsId: before }
    assert.equal(await refusal(operation, noVpc), "400 InvalidVpcID.NotFound")
    assert.equal((await vpcOf(cloud)).DhcpOptionsId, before)
  },

  async DeleteDhcpOptions(cloud) {
    const { ec2, refusal } = cloud
    const { DhcpOptionsId } = await vpcOf(cloud)
    assert.equal(await refusal("DeleteDhcpOptions", { DhcpOptionsId }), "400 DependencyViolation")
    const other = await make(cloud, servers)
    await ec2("DeleteDhcpOptions", { DhcpOptionsId: other })
    assert.equal(await refusal("DeleteDhcpOptions", { DhcpOptionsId: other }), "400 InvalidDhcpOptionID.NotFound")
    assert.equal(await refusal("DeleteDhcpOptions", { DhcpOptionsId: nowhere }), "400 InvalidDhcpOptionID.NotFound")
  },
} satisfies Checks
