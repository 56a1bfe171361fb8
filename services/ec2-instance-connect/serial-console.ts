/**
 * SendSerialConsoleSSHPublicKey: for 60 seconds whoever has the key may begin the one session at the instance's serial port, by `ssh ID.port0@ADDRESS`
 * ("EC2 Serial Console"). The key is the host's alone, in memory: a session needs the host anyway.
 */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import { readSettings } from "../ec2/account/settings.ts"
import { findInstanceType } from "../ec2/instance-types/data.ts"
import { instanceKind } from "../ec2/instances/record.ts"
import { raise } from "./errors.ts"
import { readKey } from "./read.ts"

interface Given {
  readonly InstanceId?: string | undefined
  readonly SerialPort?: number | undefined
  readonly SSHPublicKey?: string | undefined
}

export async function sendSerialConsoleSshPublicKey(input: Given, call: Call) {
  const { InstanceId: id = "" } = input
  const [type, body] = readKey(input.SSHPublicKey ?? "", "").split(" ")
  const instance = await call.find(instanceKind, id)
  if (instance === undefined) throw raise("EC2InstanceNotFoundException", { id })
  call.authorize("ec2-instance-connect:SendSerialConsoleSSHPublicKey", instance)
  if ((await readSettings(call)).serialConsole !== true) throw raise("SerialConsoleAccessDisabledException")
  const { record } = instance
  if (findInstanceType(record.type)?.Hypervisor === "xen")
    throw raise("EC2InstanceTypeInvalidException", { type: record.type })
  if (record.state !== "running") throw raise("EC2InstanceStateInvalidException", { id })
  // A key that opens nothing is not taken: simulated instances have no port.
  const answer = await call.cloud.hosts.serialKey?.(localHost, id, `${type} ${body}`)
  if (answer === undefined)
    throw raise("UnsupportedOperation", { operation: "SendSerialConsoleSSHPublicKey of a simulated instance" })
  if (answer === "taken") throw raise("SerialConsoleSessionLimitExceededException")
  if (answer === "unavailable") throw raise("SerialConsoleSessionUnavailableException")
  return { RequestId: call.info.requestId, Success: true }
}
