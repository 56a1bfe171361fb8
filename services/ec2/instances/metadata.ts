/** What an instance's metadata service answers: the categories of "Instance metadata categories" that this instance has. */
import type { Resource } from "#cloud/resources/kind.ts"
import type { MetadataDocument } from "#host/protocol/types.ts"
import { hostLabel, privateDnsName, privateDomain, publicNameOf } from "../network-interfaces/names.ts"
import { addressesOf, publicAddressesOf } from "../network-interfaces/addresses.ts"
import type { NetworkInterfaceRecord } from "../network-interfaces/record.ts"
import type { InstanceRecord } from "./record.ts"

export function metadataOf(
  instance: Resource<InstanceRecord>,
  interfaces: readonly Resource<NetworkInterfaceRecord>[],
): MetadataDocument {
  const { record, region } = instance
  const options = record.attributes.metadata
  return {
    guest: instance.id,
    enabled: options.endpoint === "enabled",
    tokens: options.tokens,
    hopLimit: options.hopLimit,
    tree: {
      ...instanceTree(instance, interfaces[0]?.record.vpcNames?.domain),
      ...Object.assign({}, ...interfaces.map((i) => interfaceTree(i, instance))),
      ...tagTree(record),
      ...identity(instance),
    },
    domainName: privateDomain(region),
    ...(record.temporaryKeys === undefined
      ? {}
      : {
          temporary: record.temporaryKeys.map(({ user, key, untilMs }) => ({
            path: `meta-data/managed-ssh-keys/active-keys/${user}`,
            text: key,
            untilMs,
          })),
        }),
    ...(record.userData === undefined ? {} : { userData: record.userData }),
  }
}

/** The guest calls itself by the domain that DHCP gives it, which EC2 itself does not show. */
function nameInGuest({ id, region, record }: Resource<InstanceRecord>, domain: string | undefined): string {
  return `${hostLabel(id, record.address, record.privateDnsName)}.${domain ?? privateDomain(region)}`
}

function instanceTree(instance: Resource<InstanceRecord>, domain: string | undefined): Record<string, string> {
  const { id, region, record } = instance
  const m = "meta-data"
  const tree: Record<string, string> = {
    [`${m}/ami-id`]: record.image,
    [`${m}/ami-launch-index`]: String(record.launchIndex),
    [`${m}/ami-manifest-path`]: "(unknown)",
    [`${m}/block-device-mapping/ami`]: deviceName(record.rootDevice),
    [`${m}/block-device-mapping/root`]: record.rootDevice,
    [`${m}/events/maintenance/history`]: "[]",
    [`${m}/events/maintenance/scheduled`]: "[]",
    [`${m}/hostname`]: nameInGuest(instance, domain),
    [`${m}/instance-action`]: "none",
    [`${m}/instance-id`]: id,
    [`${m}/instance-life-cycle`]: "on-demand",
    [`${m}/instance-type`]: record.type,
    [`${m}/local-hostname`]: nameInGuest(instance, domain),
    [`${m}/local-ipv4`]: record.address,
    [`${m}/placement/availability-zone`]: record.zone,
    [`${m}/placement/availability-zone-id`]: record.zoneId,
    [`${m}/placement/region`]: region,
    [`${m}/profile`]: "default-hvm",
    [`${m}/reservation-id`]: record.reservation,
    [`${m}/security-groups`]: record.groups.map((group) => group.name).join("\n"),
    [`${m}/services/domain`]: "amazonaws.com",
    [`${m}/services/partition`]: "aws",
    [`${m}/system`]: "nitro",
  }
  if (record.publicAddress !== undefined) {
    tree[`${m}/public-ipv4`] = record.publicAddress
    if (record.publicDnsName !== undefined) tree[`${m}/public-hostname`] = record.publicDnsName
  }
  if (record.placement !== undefined) tree[`${m}/placement/group-name`] = record.placement.name
  if (record.placement?.partition !== undefined)
    tree[`${m}/placement/partition-number`] = String(record.placement.partition)
  record.blockDevices
    .filter((device) => device.device !== record.rootDevice)
    .forEach((device, index) => {
      tree[`${m}/block-device-mapping/ebs${index + 1}`] = deviceName(device.device)
    })
  if (record.keyName !== undefined && record.publicKey !== undefined) {
    tree[`${m}/public-keys/`] = `0=${record.keyName}`
    tree[`${m}/public-keys/0/openssh-key`] = record.publicKey
  }
  return tree
}
const deviceName = (device: string) => device.replace("/dev/", "")

function interfaceTree(
  { id, account, region, record }: Resource<NetworkInterfaceRecord>,
  instance: Resource<InstanceRecord>,
): Record<string, string> {
  const prefix = `meta-data/network/interfaces/macs/${record.mac}`
  const tree: Record<string, string> = {
    [`${prefix}/device-number`]: String(record.attachment?.deviceIndex ?? 0),
    [`${prefix}/interface-id`]: id,
    [`${prefix}/local-hostname`]: privateDnsName(record.address, region),
    [`${prefix}/local-ipv4s`]: addressesOf(record)
      .map(({ address }) => address)
      .join("\n"),
    [`${prefix}/mac`]: record.mac,
    [`${prefix}/owner-id`]: account,
    [`${prefix}/security-group-ids`]: record.groups.map((group) => group.id).join("\n"),
    [`${prefix}/security-groups`]: record.groups.map((group) => group.name).join("\n"),
    [`${prefix}/subnet-id`]: record.subnet,
    [`${prefix}/subnet-ipv4-cidr-block`]: record.subnetCidr,
    [`${prefix}/vpc-id`]: record.vpc,
    [`${prefix}/vpc-ipv4-cidr-block`]: record.vpcCidr,
    [`${prefix}/vpc-ipv4-cidr-blocks`]: record.vpcCidr,
  }
  const held = publicAddressesOf(record)
  if (held.length > 0) tree[`${prefix}/public-ipv4s`] = held.map(({ address }) => address).join("\n")
  for (const { address, publicAddress } of addressesOf(record))
    if (publicAddress !== undefined) tree[`${prefix}/ipv4-associations/${publicAddress.address}`] = address
  if (record.publicAddress !== undefined) {
    const name = publicNameOf(record.publicAddress.address, record.vpcNames, region)
    if (name !== undefined) tree[`${prefix}/public-hostname`] = name
  }
  if ((record.attachment?.deviceIndex ?? 0) === 0 && instance.record.networkInterfaces[0] === id)
    tree["meta-data/mac"] = record.mac
  return tree
}
/** Tags, where the instance's options let the guest see them. */
function tagTree(record: InstanceRecord): Record<string, string> {
  if (record.attributes.metadata.tags !== "enabled") return {}
  return Object.fromEntries(record.tags.map((tag) => [`meta-data/tags/instance/${tag.key}`, tag.value]))
}

function identity({ id, account, region, record }: Resource<InstanceRecord>): Record<string, string> {
  const document = {
    accountId: account,
    architecture: record.architecture,
    availabilityZone: record.zone,
    billingProducts: null,
    devpayProductCodes: null,
    marketplaceProductCodes: null,
    imageId: record.image,
    instanceId: id,
    instanceType: record.type,
    kernelId: null,
    pendingTime: new Date(record.launchedMs).toISOString().replace(/\.\d+Z$/, "Z"),
    privateIp: record.address,
    ramdiskId: null,
    region,
    version: "2017-09-30",
  }
  return { "dynamic/instance-identity/document": JSON.stringify(document, null, 2) }
}
