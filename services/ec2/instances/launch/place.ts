/** Where a launch goes: image, type, subnet, groups, key. Everything the store has to say, before anything is made. */
import type { Call } from "#cloud/call.ts"
import { isId, notFound, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../../errors.ts"
import { readSettings } from "../../account/settings.ts"
import { allowedImagesOf, mayUse } from "../../images/allowed.ts"
import { findImages } from "../../images/find.ts"
import { byParameter, resolveImage } from "../../images/public-parameters.ts"
import { type ImageRecord, imageKind } from "../../images/record.ts"
import { standInFor } from "../../images/stand-ins.ts"
import { findInstanceType } from "../../instance-types/data.ts"
import { keyPairKind } from "../../key-pairs/record.ts"
import { requireFewGroups } from "../../security-groups/quotas.ts"
import { type SecurityGroupRecord, securityGroupKind } from "../../security-groups/record.ts"
import { defaultVpcOf } from "../../vpcs/default.ts"
import { type SubnetRecord, subnetKind } from "../../vpcs/record.ts"
import { chosenVcpus } from "../cpu-options.ts"
import type { CpuOptions } from "../record.ts"
import type { LaunchWish } from "./wish.ts"

export interface Machine {
  readonly name: string
  readonly vcpus: number
  readonly memoryMiB: number
  readonly architecture: "x86_64" | "arm64"
}

/**
 * The image, by its id or by a public parameter ("resolve:ssm:NAME"). With `--unknown-ami substitute` an id that is nobody's has one behind it,
 * of an architecture of the type's.
 */
export async function findImage(call: Call, wanted: string, type: string): Promise<Resource<ImageRecord>> {
  const id = wanted.startsWith(byParameter) ? await resolved(call, wanted.slice(byParameter.length)) : wanted
  const image = (await findImages(call, [id])).get(id)
  if (image !== undefined && mayUse(call, allowedImagesOf(await readSettings(call)), image)) {
    if (image.record.state !== "available") throw raise("InvalidAMIID.Unavailable", { id, state: image.record.state })
    return image
  }
  const standIn = await standInFor(call, id, findInstanceType(type)?.ProcessorInfo?.SupportedArchitectures)
  if (standIn !== undefined) return standIn
  if (!isId("ami", id)) throw raise("InvalidAMIID.Malformed", { id })
  throw notFound(imageKind, id)
}

async function resolved(call: Call, name: string): Promise<string> {
  const id = await resolveImage(call, name)
  if (id !== undefined) return id
  throw raise("InvalidParameterValue", {
    detail: `The parameter '${name}' of ImageId does not exist in Systems Manager`,
  })
}

/** The machine that a type stands for, on this image, with the vCPUs that were chosen of it. */
export function findMachine(call: Call, typeName: string, image: Resource<ImageRecord>, cpu?: CpuOptions): Machine {
  const type = findInstanceType(typeName)
  if (type === undefined)
    throw raise("InvalidParameterValue", {
      detail: `The following supplied instance types do not exist: [${typeName}]`,
    })
  const architectures: readonly string[] = type.ProcessorInfo?.SupportedArchitectures ?? []
  const { architecture } = image.record
  if (!architectures.includes(architecture))
    throw raise("InvalidParameterValue", {
      detail: `The architecture '${architectures.join(",")}' of the specified instance type does not match the architecture '${architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.`,
    })
  if (!call.cloud.settings.architectures.includes(architecture))
    throw raise("InsufficientInstanceCapacity", { type: typeName, why: `no host runs ${architecture}` })
  return {
    name: typeName,
    vcpus: cpu === undefined ? (type.VCpuInfo?.DefaultVCpus ?? 1) : chosenVcpus(typeName, cpu),
    memoryMiB: type.MemoryInfo?.SizeInMiB ?? 512,
    architecture,
  }
}

/** The subnet that is named, or the default one of the zone, or of `usual`, or of the first zone. */
export async function findSubnet(call: Call, wish: LaunchWish, usual?: string): Promise<Resource<SubnetRecord>> {
  if (wish.network.subnet !== undefined) {
    const subnet = await call.require(subnetKind, wish.network.subnet)
    if (wish.zone !== undefined && !inZone(subnet, wish.zone))
      throw raise("InvalidParameterValue", {
        detail: `The availability zone '${wish.zone}' does not match that of the subnet '${subnet.id}' ('${subnet.record.zone}')`,
      })
    return subnet
  }
  const vpc = await defaultVpcOf(call)
  if (vpc === undefined) throw raise("VPCIdNotSpecified")
  const subnets = (await call.list(subnetKind, "vpc-id", vpc.id)).filter((subnet) => subnet.record.defaultForZone)
  const zone = wish.zone ?? usual
  const subnet = zone === undefined ? subnets[0] : subnets.find((candidate) => inZone(candidate, zone))
  if (subnet !== undefined) return subnet
  if (zone === undefined)
    throw raise("MissingInput", { detail: "No subnets found for the default VPC. Please specify a subnet." })
  throw raise("InvalidParameterValue", { detail: `Invalid availability zone: [${zone}]` })
}
const inZone = (subnet: Resource<SubnetRecord>, zone: string) =>
  subnet.record.zone === zone || subnet.record.zoneId === zone

/** Security groups by id or, in the default VPC, by name; all in the subnet's VPC; the VPC's default group when none is named. */
export async function findGroups(
  call: Call,
  wish: LaunchWish["network"],
  vpc: string,
): Promise<readonly Resource<SecurityGroupRecord>[]> {
  if (wish.groupNames.length > 0 && wish.subnet !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter groupName cannot be used with the parameter subnet",
    })
  const byId = await call.requireMany(securityGroupKind, wish.groupIds)
  const ofVpc = wish.groupNames.length > 0 || byId.length === 0 ? await call.list(securityGroupKind, "vpc-id", vpc) : []
  const byName = wish.groupNames.map((name) => {
    const group = ofVpc.find((candidate) => candidate.record.name === name)
    if (group === undefined) throw raise("InvalidGroup.NotFound", { name, where: ` in VPC '${vpc}'` })
    return group
  })
  const groups = [...new Map([...byId, ...byName].map((group) => [group.id, group])).values()]
  for (const group of groups)
    if (group.record.vpc !== vpc)
      throw raise("InvalidParameter", { detail: `Security group ${group.id} and subnet belong to different networks.` })
  requireFewGroups(groups)
  if (groups.length > 0) return groups
  return ofVpc.filter((group) => group.record.name === "default")
}

/** OpenSSH line of the key pair, or undefined when none is asked for. */
export async function findPublicKey(call: Call, name: string | undefined): Promise<string | undefined> {
  if (name === undefined) return undefined
  const pair = (await call.list(keyPairKind, "key-name", name))[0]
  if (pair === undefined) throw raise("InvalidKeyPair.NotFound", { name })
  return pair.record.publicKey
}
