/** ModifySubnetAttribute: what instances get that are launched in a subnet from now on. One attribute a call. */
import { raise } from "../errors.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { usualDnsName } from "../network-interfaces/names.ts"
import { subnetKind, type SubnetRecord } from "./record.ts"

type Modify = Input<"ModifySubnetAttribute">
type Change = (record: SubnetRecord) => SubnetRecord

const same: Change = (record) => record

/** What needs IPv6, Outposts or local network interfaces can only be asked to be off, which it is. */
const offHere = [
  "AssignIpv6AddressOnCreation",
  "DisableLniAtDeviceIndex",
  "EnableDns64",
  "EnableResourceNameDnsAAAARecordOnLaunch",
  "MapCustomerOwnedIpOnLaunch",
] as const
const notDone = ["CustomerOwnedIpv4Pool", "EnableLniAtDeviceIndex"] as const

function readChanges(input: Modify): readonly Change[] {
  const changes: Change[] = []
  for (const name of notDone)
    if (input[name] !== undefined)
      throw raise("UnsupportedOperation", { operation: `ModifySubnetAttribute with ${name}` })
  for (const name of offHere) {
    const value = input[name]?.Value
    if (value === true) throw raise("UnsupportedOperation", { operation: `ModifySubnetAttribute with ${name}` })
    if (value === false) changes.push(same)
  }
  const { PrivateDnsHostnameTypeOnLaunch: hostnameType } = input
  const mapPublicIpOnLaunch = input.MapPublicIpOnLaunch?.Value
  const aRecord = input.EnableResourceNameDnsARecordOnLaunch?.Value
  if (mapPublicIpOnLaunch !== undefined) changes.push((record) => ({ ...record, mapPublicIpOnLaunch }))
  if (hostnameType !== undefined)
    changes.push((record) => ({
      ...record,
      privateDnsName: { ...usualDnsName, ...record.privateDnsName, hostnameType },
    }))
  if (aRecord !== undefined)
    changes.push((record) => ({ ...record, privateDnsName: { ...usualDnsName, ...record.privateDnsName, aRecord } }))
  return changes
}

/** InvalidSubnetID.NotFound, InvalidParameterCombination. A launch that has read the subnet as it was runs again. */
const modifySubnetAttribute: Handler<"ModifySubnetAttribute"> = async (input, call) => {
  const [change, ...others] = readChanges(input)
  if (change === undefined) throw raise("InvalidParameterCombination", { detail: "No attributes specified." })
  if (others.length > 0)
    throw raise("InvalidParameterCombination", { detail: "Fields for multiple attribute types specified" })
  const subnet = await call.require(subnetKind, input.SubnetId, "SubnetId")
  call.authorize("ec2:ModifySubnetAttribute", subnet)
  call.draft.update(subnetKind, subnet, change(subnet.record))
  await call.commit()
  return {}
}

export const handlers = { ModifySubnetAttribute: modifySubnetAttribute } satisfies Handlers
