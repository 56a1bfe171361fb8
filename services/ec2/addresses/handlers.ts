/** Elastic IP addresses: held by an account out of the home's pool, until they are released. Associations are in association.ts. */
import type { Address } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { tagsFor } from "../tags/specifications.ts"
import { toNumber } from "../vpcs/addresses.ts"
import { vpcKind } from "../vpcs/record.ts"
import { networkInterfaceKind } from "../network-interfaces/record.ts"
import { associateAddress, disassociateAddress, releaseFrom } from "./association.ts"
import { requireAddress } from "./find.ts"
import { freePublicAddresses, publicAddressScope } from "./pool.ts"
import { elasticIpsPerRegion } from "./quotas.ts"
import { type AddressRecord, addressKind } from "./record.ts"

/** AddressLimitExceeded, InsufficientAddressCapacity. There is one pool: no others of a customer, and no EC2-Classic. */
const allocateAddress: Handler<"AllocateAddress"> = async (input, call) => {
  for (const name of ["Address", "CustomerOwnedIpv4Pool", "IpamPoolId"] as const)
    if (input[name] !== undefined) throw raise("UnsupportedOperation", { operation: `AllocateAddress with ${name}` })
  const { Domain: domain = "vpc", PublicIpv4Pool: pool = "amazon", NetworkBorderGroup: group = call.region } = input
  if (domain !== "vpc") throw invalid(`Value (${domain}) for parameter domain is invalid. Expected: vpc.`)
  if (pool !== "amazon") throw raise("InvalidPublicIpv4PoolID.NotFound", { id: pool })
  if (group !== call.region) throw invalid(`Value (${group}) for parameter networkBorderGroup is invalid.`)
  const tags = tagsFor(input.TagSpecifications, "elastic-ip")
  const scope = `elastic-ip:${call.account}:${call.region}`
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= elasticIpsPerRegion) throw raise("AddressLimitExceeded")
  const [address = ""] = await freePublicAddresses(call, 1)
  const allocated = call.draft.create(addressKind, { address, tags })
  call.draft.claim(publicAddressScope, toNumber(address), allocated.id)
  call.draft.claim(scope, allocated.id, allocated.id)
  await call.commit()
  return {
    PublicIp: address,
    AllocationId: allocated.id,
    PublicIpv4Pool: "amazon",
    NetworkBorderGroup: call.region,
    Domain: "vpc",
  }
}

/**
 * Out of a default VPC it is disassociated by itself, else it has to be before: InvalidIPAddress.InUse. Another border group than the region's
 * is InvalidAddress.NotFound.
 */
const releaseAddress: Handler<"ReleaseAddress"> = async (input, call) => {
  const address = await requireAddress(call, input.AllocationId, input.PublicIp)
  call.authorize("ec2:ReleaseAddress", address)
  const { address: ip, networkInterface } = address.record
  const { NetworkBorderGroup: group } = input
  if (group !== undefined && group !== "" && group !== call.region) throw raise("InvalidAddress.NotFound", { ip })
  if (networkInterface !== undefined) {
    if (!(await isInDefaultVpc(call, networkInterface))) throw raise("InvalidIPAddress.InUse", { address: ip })
    await releaseFrom(call, address)
  }
  call.draft.remove(address)
  await call.commit()
  return {}
}

async function isInDefaultVpc(call: Call, networkInterface: string): Promise<boolean> {
  const found = await call.find(networkInterfaceKind, networkInterface)
  const vpc = found && (await call.find(vpcKind, found.record.vpc))
  return vpc?.record.isDefault === true
}

const filterNames = [
  "allocation-id",
  "association-id",
  "domain",
  "instance-id",
  "network-border-group",
  "network-interface-id",
  "network-interface-owner-id",
  "private-ip-address",
  "public-ip",
  "public-dns",
]

const describeAddresses: Handler<"DescribeAddresses"> = async (input, call) => {
  const wanted = input.PublicIps ?? []
  const page = await call.describe({
    kind: addressKind,
    ids: input.AllocationIds,
    filters: input.Filters,
    filterNames,
    ...(wanted.length === 0 ? {} : { also: [{ name: "public-ip", values: wanted }] }),
  })
  for (const ip of wanted)
    if (!page.items.some((item) => item.record.address === ip)) throw raise("InvalidAddress.NotFound", { ip })
  return { Addresses: page.items.map(toAddressAnswer) }
}

/** Reverse names of one's own cannot be set here, so that no address has one. */
const describeAddressesAttribute: Handler<"DescribeAddressesAttribute"> = async (input, call) => {
  const { Attribute: attribute } = input
  if (attribute !== undefined && attribute !== "domain-name")
    throw invalid(`Value (${String(attribute)}) for parameter attribute is invalid. Expected: domain-name.`)
  const page = await call.describe({
    kind: addressKind,
    ids: input.AllocationIds,
    filterNames: [],
    bounds: [1, 1000],
    ...asked(input),
  })
  return {
    Addresses: page.items.map(({ id, record }) => ({ PublicIp: record.address, AllocationId: id })),
    ...nextToken(page),
  }
}

function toAddressAnswer({ id, account, region, record }: Resource<AddressRecord>): Address {
  return {
    AllocationId: id,
    Domain: "vpc",
    PublicIp: record.address,
    PublicIpv4Pool: "amazon",
    NetworkBorderGroup: region,
    Tags: toTags(record.tags),
    ...(record.association === undefined ? {} : { AssociationId: record.association }),
    ...(record.instance === undefined ? {} : { InstanceId: record.instance }),
    ...(record.networkInterface === undefined
      ? {}
      : { NetworkInterfaceId: record.networkInterface, NetworkInterfaceOwnerId: account }),
    ...(record.privateAddress === undefined ? {} : { PrivateIpAddress: record.privateAddress }),
  }
}

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })

export const handlers = {
  AllocateAddress: allocateAddress,
  AssociateAddress: associateAddress,
  DescribeAddresses: pure(describeAddresses),
  DescribeAddressesAttribute: pure(describeAddressesAttribute),
  DisassociateAddress: disassociateAddress,
  ReleaseAddress: releaseAddress,
} satisfies Handlers
