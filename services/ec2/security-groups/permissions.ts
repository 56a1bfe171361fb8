/** From the IpPermissions of a request (or the flat parameters of old) to rules as they are stored, peers looked up. */
import type { IpPermission, UserIdGroupPair } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { prefixListKind } from "../prefix-lists/record.ts"
import { readCidr, readCidr6 } from "./cidr.ts"
import { requireInSameNetwork, requireNamed } from "./find.ts"
import { readTraffic } from "./protocols.ts"
import type { RuleRecord, SecurityGroupRecord } from "./record.ts"

/** A rule that has no id yet. */
export type Wish = Omit<RuleRecord, "id" | "tags">

export interface GivenPermissions {
  readonly IpPermissions?: IpPermission[] | undefined
  readonly IpProtocol?: string | undefined
  readonly FromPort?: number | undefined
  readonly ToPort?: number | undefined
  readonly CidrIp?: string | undefined
  readonly SourceSecurityGroupName?: string | undefined
  readonly SourceSecurityGroupOwnerId?: string | undefined
}

/** Far above the 60 rules a direction can have, so that a request cannot make us look up thousands of groups. */
const maxWishes = 1000

/**
 * One rule for each protocol, range and peer. Throws MissingParameter, InvalidParameterValue (also for a rule given twice),
 * InvalidGroup.NotFound, InvalidPrefixListID.NotFound.
 */
export async function readPermissions(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  input: GivenPermissions,
  egress: boolean,
): Promise<readonly Wish[]> {
  const wishes: Wish[] = []
  for (const permission of permissionsOf(input, egress)) {
    const traffic = readTraffic(permission)
    for (const peer of await readPeers(call, group, permission)) wishes.push({ egress, ...traffic, ...peer })
    if (wishes.length > maxWishes) throw raise("RulesPerSecurityGroupLimitExceeded")
  }
  if (new Set(wishes.map(ruleKey)).size < wishes.length)
    throw raise("InvalidParameterValue", { detail: "The same permission must not appear multiple times" })
  return wishes
}

/** The same for two rules that let the same traffic pass. */
export function ruleKey(rule: Wish): string {
  const { egress, protocol, fromPort = -1, toPort = -1 } = rule
  return [egress ? "out" : "in", protocol, fromPort, toPort, peerOf(rule)].join(" ")
}

/** The other side of a rule, as text. */
export function peerOf(rule: Wish): string {
  return rule.cidr ?? rule.cidr6 ?? rule.prefixList ?? rule.group?.id ?? ""
}

/** The flat parameters speak of ingress only; for egress the API takes IpPermissions alone. */
function permissionsOf(input: GivenPermissions, egress: boolean): readonly IpPermission[] {
  const { IpPermissions, IpProtocol, FromPort, ToPort, CidrIp, SourceSecurityGroupName } = input
  const flat = [IpProtocol, FromPort, ToPort, CidrIp, SourceSecurityGroupName].some((value) => value !== undefined)
  if (IpPermissions !== undefined && IpPermissions.length > 0) {
    if (flat)
      throw raise("InvalidParameterCombination", {
        detail:
          "The parameter ipPermissions cannot be used with the parameters ipProtocol, fromPort, toPort and cidrIp",
      })
    return IpPermissions
  }
  if (egress || !flat) throw raise("MissingParameter", { name: "ipPermissions" })
  if (SourceSecurityGroupName !== undefined) return fromSourceGroup(input, SourceSecurityGroupName)
  if (CidrIp === undefined) throw raise("MissingParameter", { name: "cidrIp" })
  return [{ IpProtocol, FromPort, ToPort, IpRanges: [{ CidrIp }] }]
}

/** SourceSecurityGroupName opens all of icmp, tcp and udp to that group, as AuthorizeSecurityGroupIngress says. */
function fromSourceGroup(input: GivenPermissions, name: string): readonly IpPermission[] {
  if ([input.IpProtocol, input.FromPort, input.ToPort, input.CidrIp].some((value) => value !== undefined))
    throw raise("InvalidParameterCombination", {
      detail:
        "The parameter sourceSecurityGroupName cannot be used with the parameters ipProtocol, fromPort, toPort and cidrIp",
    })
  const UserIdGroupPairs = [{ GroupName: name, UserId: input.SourceSecurityGroupOwnerId }]
  return [
    { IpProtocol: "icmp", FromPort: -1, ToPort: -1, UserIdGroupPairs },
    { IpProtocol: "tcp", FromPort: 0, ToPort: 65_535, UserIdGroupPairs },
    { IpProtocol: "udp", FromPort: 0, ToPort: 65_535, UserIdGroupPairs },
  ]
}

type Peer = Pick<RuleRecord, "cidr" | "cidr6" | "prefixList" | "group" | "description">

async function readPeers(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  permission: IpPermission,
): Promise<readonly Peer[]> {
  const { IpRanges = [], Ipv6Ranges = [], PrefixListIds = [], UserIdGroupPairs = [] } = permission
  if (IpRanges.length + Ipv6Ranges.length + PrefixListIds.length + UserIdGroupPairs.length === 0)
    throw raise("MissingParameter", { name: "ipRanges, ipv6Ranges, prefixListIds or groups" })
  if (IpRanges.length + Ipv6Ranges.length + PrefixListIds.length + UserIdGroupPairs.length > maxWishes)
    throw raise("RulesPerSecurityGroupLimitExceeded")
  const peers: Peer[] = []
  for (const { CidrIp, Description } of IpRanges)
    peers.push({ cidr: readCidr(required("cidrIp", CidrIp)), ...readDescription(Description) })
  for (const { CidrIpv6, Description } of Ipv6Ranges)
    peers.push({ cidr6: readCidr6(required("cidrIpv6", CidrIpv6)), ...readDescription(Description) })
  for (const { PrefixListId: id, Description } of PrefixListIds) {
    const list = await call.require(prefixListKind, required("prefixListId", id))
    peers.push({ prefixList: list.id, ...readDescription(Description) })
  }
  for (const pair of UserIdGroupPairs)
    peers.push({ group: await readGroup(call, group, pair), ...readDescription(pair.Description) })
  return peers
}

/** The referenced group: by id or by name, of the same account and the same network. */
async function readGroup(
  call: Call,
  group: Resource<SecurityGroupRecord>,
  { GroupId: id, GroupName: name, UserId: account }: UserIdGroupPair,
): Promise<NonNullable<RuleRecord["group"]>> {
  if (id === undefined && name === undefined) throw raise("MissingParameter", { name: "groupId or groupName" })
  if (account !== undefined && account !== call.account)
    throw raise("InvalidGroup.NotFound", { name: id ?? name, where: "" })
  const other =
    id === undefined ? await requireNamed(call, group, name ?? "") : await requireInSameNetwork(call, group, id)
  return { id: other.id, account: other.account, name: other.record.name }
}

/** Up to 255 characters of a set. Throws InvalidParameterValue. An empty one is none. */
export function readDescription(description: string | undefined): { readonly description?: string } {
  if (description === undefined || description === "") return {}
  if (description.length > 255 || !/^[\w. \-:/()#,@[\]+=&;{}!$*]*$/.test(description))
    throw raise("InvalidParameterValue", {
      detail:
        "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
    })
  return { description }
}

function required(name: string, value: string | undefined): string {
  if (value === undefined || value === "") throw raise("MissingParameter", { name })
  return value
}
