/** EC2 Instance Connect. https://docs.aws.amazon.com/ec2-instance-connect/latest/APIReference/Welcome.html */
import type * as SDK from "@aws-sdk/client-ec2-instance-connect"
import type { Cloud } from "#cloud/call.ts"
import { createDispatcher, type Dispatcher } from "#cloud/service.ts"
import type { Operation } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"
import { reassignGuest } from "../ec2/instances/assignment.ts"
import { instanceKind, type TemporaryKey } from "../ec2/instances/record.ts"
import { raise } from "./errors.ts"
import { readKey } from "./read.ts"
import { sendSerialConsoleSshPublicKey } from "./serial-console.ts"

type Handler<O extends Operation<typeof SDK>> = HandlerOf<typeof SDK, O>

/** How long a key can be used. */
const keptMs = 60_000
/** Keys of one instance at a time: EC2 limits calls, by figures that it does not tell. */
const maxKeys = 20

/**
 * SendSSHPublicKey: for 60 seconds the guest reads the key in its metadata, managed-ssh-keys/active-keys/<user>, where an ssh server that knows
 * EC2 Instance Connect looks for it. Whether there is such a user is the guest's affair.
 */
const sendSshPublicKey: Handler<"SendSSHPublicKey"> = async (input, call) => {
  const { InstanceId: id = "", InstanceOSUser: user = "", AvailabilityZone: zone } = input
  const key = readKey(input.SSHPublicKey ?? "", user)
  const instance = await call.find(instanceKind, id)
  if (instance === undefined || (zone !== undefined && zone !== instance.record.zone))
    throw raise("EC2InstanceNotFoundException", { id })
  call.authorize("ec2-instance-connect:SendSSHPublicKey", instance)
  const { record } = instance
  if (record.state !== "running") throw raise("EC2InstanceStateInvalidException", { id })
  const kept = (record.temporaryKeys ?? []).filter(
    (each) => each.untilMs > call.nowMs && !(each.user === user && each.key === key),
  )
  if (kept.length >= maxKeys) throw raise("ThrottlingException", { id, limit: maxKeys })
  const added: TemporaryKey = { user, key, untilMs: call.nowMs + keptMs }
  const changed = call.draft.update(instanceKind, instance, { ...record, temporaryKeys: [...kept, added] })
  await reassignGuest(call, changed)
  await call.commit()
  return { RequestId: call.info.requestId, Success: true }
}

export const handlers = {
  SendSerialConsoleSSHPublicKey: sendSerialConsoleSshPublicKey,
  SendSSHPublicKey: sendSshPublicKey,
} satisfies HandlersOf<typeof SDK>

export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
