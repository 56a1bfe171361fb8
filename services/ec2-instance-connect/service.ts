/** EC2 Instance Connect. https://docs.aws.amazon.com/ec2-instance-connect/latest/APIReference/Welcome.html */
import type * as SDK from "@aws-sdk/client-ec2-instance-connect"
import type { Call, Cloud } from "#cloud/call.ts"
import { commonErrors, defineErrors } from "#cloud/errors.ts"
import { createDispatcher, type Dispatcher } from "#cloud/service.ts"
import { Fault } from "#lib/fault.ts"
import type { Input, Operation, Output } from "#wire/typed.ts"
import { reassignGuest } from "../ec2/instances/assignment.ts"
import { instanceKind, type TemporaryKey } from "../ec2/instances/record.ts"
import { readPublicKey, toAuthorizedKey } from "../ec2/key-pairs/public-key.ts"

type Handler<O extends Operation<typeof SDK>> = (
  input: Input<typeof SDK, O>,
  call: Call,
) => Promise<Output<typeof SDK, O>>
type Handlers = { readonly [O in Operation<typeof SDK>]?: Handler<O> }

export const errors = {
  ...commonErrors,
  EC2InstanceNotFoundException: [400, "The instance {id} was not found."],
  EC2InstanceStateInvalidException: [400, "The instance {id} is not running."],
  InvalidArgsException: [400, "{detail}"],
  ThrottlingException: [400, "The instance {id} has {limit} keys that did not expire yet."],
} as const
const raise = defineErrors(errors)

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

/** "Supported SSH key types are RSA (OpenSSH and SSH2) and ED25519, the lengths 2048 and 4096": as a line of authorized_keys. */
function readKey(text: string, comment: string): string {
  const key = orUndefined(() => readPublicKey(Buffer.from(text)))
  if (key === undefined || key.asymmetricKeyDetails?.modulusLength === 1024)
    throw invalid("The SSH public key is not a valid RSA or ED25519 key.")
  return toAuthorizedKey(key, comment)
}

/** A refused key is undefined: its error is EC2's own. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}

const invalid = (detail: string) => raise("InvalidArgsException", { detail })

export const handlers = { SendSSHPublicKey: sendSshPublicKey } satisfies Handlers

export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
