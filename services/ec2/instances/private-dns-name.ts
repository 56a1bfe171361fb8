/** ModifyPrivateDnsNameOptions: how an instance is called, and what the resolver answers for its id. */
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { hostLabel, privateDomain, usualDnsName } from "../network-interfaces/names.ts"
import { reassignGuest } from "./assignment.ts"
import { notInState } from "./lifecycle.ts"
import { instanceKind } from "./record.ts"

/**
 * The name changes while the instance is stopped, since its guest takes it when it boots: IncorrectInstanceState. The record of the resolver
 * changes at any time ("Change the hostname type" of the EC2 user guide).
 */
export const modifyPrivateDnsNameOptions: Handler<"ModifyPrivateDnsNameOptions"> = async (input, call) => {
  const { PrivateDnsHostnameType: type, EnableResourceNameDnsARecord: aRecord } = input
  const { EnableResourceNameDnsAAAARecord: sixRecord } = input
  if (type === undefined && aRecord === undefined && sixRecord === undefined)
    throw raise("MissingParameter", { name: "PrivateDnsHostnameType or EnableResourceNameDnsARecord" })
  if (sixRecord === true)
    throw raise("UnsupportedOperation", {
      operation: "ModifyPrivateDnsNameOptions with EnableResourceNameDnsAAAARecord",
    })
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyPrivateDnsNameOptions", instance)
  const { record } = instance
  if (record.state === "shutting-down" || record.state === "terminated") throw notInState(instance.id, "modified")
  const before = record.privateDnsName ?? usualDnsName
  const privateDnsName = {
    hostnameType: type ?? before.hostnameType,
    aRecord: aRecord ?? before.aRecord,
  }
  if (privateDnsName.hostnameType !== before.hostnameType && record.state !== "stopped")
    throw raise("IncorrectInstanceState", {
      detail: `The instance '${instance.id}' is not in the 'stopped' state: its hostname type cannot be modified.`,
    })
  const dnsName = `${hostLabel(instance.id, record.address, privateDnsName)}.${privateDomain(call.region)}`
  await reassignGuest(call, call.draft.update(instanceKind, instance, { ...record, privateDnsName, dnsName }))
  await call.commit()
  return { Return: true }
}
