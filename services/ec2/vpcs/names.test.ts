/** What hosts are told of names: attributes of a VPC, its DHCP options, and how instances are called. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { Spec } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { clientOf, openRig, type Rig } from "../../../tests/ec2/rig.ts"
import { dhcpOptionsKind } from "../dhcp-options/record.ts"
import { networkAclKind } from "../network-acls/record.ts"
import { registerPublicImages } from "../images/register.ts"

const name = "fractus-micro-test-x86_64"
const image = imageIdOf(name)

async function scene(t: TestContext) {
  const rig = await openRig(t)
  const facts = { description: "", architecture: "x86_64" as const, rootDeviceName: "/dev/xvda", sizeBytes: 2 ** 30 }
  await registerPublicImages(rig.cloud, [{ id: image, name, createdMs: 0, ...facts }])
  const one = { ImageId: image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
  const { Instances: [instance] = [] } = await rig.ec2("RunInstances", one)
  const { InstanceId = "", VpcId = "", PrivateIpAddress = "" } = instance ?? {}
  const told = async <K extends Spec["kind"]>(id: string, kind: K) => {
    const rows = await rig.cloud.store.assignments("local")
    const spec = rows.find((row) => row.resource === id)?.spec as Spec | undefined
    assert.equal(spec?.kind, kind)
    return spec as Extract<Spec, { kind: K }>
  }
  return {
    rig,
    InstanceId,
    VpcId,
    label: `ip-${PrivateIpAddress.replaceAll(".", "-")}`,
    guest: () => told(InstanceId, "guest"),
    network: () => told(VpcId, "network"),
  }
}

test("a VPC's attributes turn its resolver off, its names off, and both on again", async (t) => {
  const { rig, VpcId, guest, network } = await scene(t)
  const publicName = async () => (await guest()).metadata.tree["meta-data/public-hostname"]
  const before = await network()
  assert.equal(before.resolver, undefined)
  const named = await publicName()
  assert.match(named ?? "", /^ec2-198-18-0-/)
  await rig.ec2("ModifyVpcAttribute", { VpcId, EnableDnsHostnames: { Value: false } })
  assert.equal((await network()).resolver, "no-port-names")
  assert.equal(await publicName(), undefined)
  assert.match((await guest()).metadata.tree["meta-data/public-ipv4"] ?? "", /^198\.18\.0\./)
  await rig.ec2("ModifyVpcAttribute", { VpcId, EnableDnsSupport: { Value: false } })
  assert.equal((await network()).resolver, "off")
  await rig.ec2("ModifyVpcAttribute", { VpcId, EnableDnsSupport: { Value: true } })
  await rig.ec2("ModifyVpcAttribute", { VpcId, EnableDnsHostnames: { Value: true } })
  assert.deepEqual(await network(), before)
  assert.equal(await publicName(), named)
})

test("guests are told their VPC's DHCP options and call themselves by its domain", async (t) => {
  const { rig, VpcId, guest, network, label } = await scene(t)
  const own = { ntpServers: [], netbiosNameServers: [] }
  assert.deepEqual((await network()).dhcp, { domainNames: ["ec2.internal"], nameServers: ["resolver"], ...own })
  const { DhcpOptions } = await rig.ec2("CreateDhcpOptions", {
    DhcpConfigurations: [
      { Key: "domain-name", Values: ["example.com example.net"] },
      { Key: "domain-name-servers", Values: ["10.0.0.2,AmazonProvidedDNS"] },
      { Key: "ntp-servers", Values: ["169.254.169.123"] },
      { Key: "netbios-node-type", Values: ["2"] },
    ],
  })
  await rig.ec2("AssociateDhcpOptions", { VpcId, DhcpOptionsId: DhcpOptions?.DhcpOptionsId })
  assert.deepEqual((await network()).dhcp, {
    domainNames: ["example.com", "example.net"],
    nameServers: ["10.0.0.2", "resolver"],
    ntpServers: ["169.254.169.123"],
    netbiosNameServers: [],
    netbiosNodeType: 2,
  })
  const { metadata } = await guest()
  assert.equal(metadata.tree["meta-data/local-hostname"], `${label}.example.com`)
  assert.equal(metadata.domainName, "ec2.internal", "the zone that the resolver answers is still the region's")
  await rig.ec2("AssociateDhcpOptions", { VpcId, DhcpOptionsId: "default" })
  assert.deepEqual((await network()).dhcp, { domainNames: [], nameServers: [], ...own })
  assert.equal((await guest()).metadata.tree["meta-data/local-hostname"], `${label}.ec2.internal`)
})

test("an instance is found by its id when it says so, and called by it", async (t) => {
  const { rig, InstanceId, guest, label } = await scene(t)
  const port = async () => (await guest()).ports[0]?.port
  assert.deepEqual([(await port())?.hostName, (await port())?.names], [label, undefined])
  await rig.ec2("ModifyPrivateDnsNameOptions", { InstanceId, EnableResourceNameDnsARecord: true })
  assert.deepEqual([(await port())?.hostName, (await port())?.names], [label, [InstanceId]])
  const { SubnetId } =
    (await rig.ec2("DescribeInstances", { InstanceIds: [InstanceId] })).Reservations?.[0]?.Instances?.[0] ?? {}
  await rig.ec2("ModifySubnetAttribute", { SubnetId, PrivateDnsHostnameTypeOnLaunch: "resource-name" })
  const { Instances: [second] = [] } = await rig.ec2("RunInstances", {
    ImageId: image,
    InstanceType: "t3.micro",
    MinCount: 1,
    MaxCount: 1,
    SubnetId,
  })
  assert.equal(second?.PrivateDnsName, `${second?.InstanceId}.ec2.internal`)
})

test("a default VPC of an earlier release gets the DHCP options that it names and a network ACL", async (t) => {
  const { rig, VpcId } = await scene(t)
  const shown = async (ec2: Rig["ec2"]) => {
    const { Vpcs: [vpc] = [] } = await ec2("DescribeVpcs", {})
    const { DhcpOptions = [] } = await ec2("DescribeDhcpOptions", {})
    const { NetworkAcls = [] } = await ec2("DescribeNetworkAcls", {})
    const associated = NetworkAcls.map((acl) => acl.Associations?.length)
    return { named: vpc?.DhcpOptionsId, options: DhcpOptions.map((each) => each.DhcpOptionsId), associated }
  }
  const before = await shown((...call) => rig.ec2(...call))
  assert.deepEqual(before.options, [before.named])
  await rig.change(async (call) => {
    const options = await call.require(dhcpOptionsKind, before.named)
    call.draft.unlink(VpcId, options.id, "blocks")
    call.draft.remove(options)
    for (const acl of await call.list(networkAclKind, "vpc-id", VpcId)) call.draft.remove(acl)
  })
  assert.deepEqual((await shown((...call) => rig.ec2(...call))).options, [])
  const later = clientOf(rig.cloud)
  assert.deepEqual(await shown((...call) => later.ec2(...call)), before)
})
