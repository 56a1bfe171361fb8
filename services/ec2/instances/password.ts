/**
 * GetPasswordData. A Windows guest chooses its administrator's password at its first start, encrypts it with the launch's key and writes it
 * to its serial port as <Password>base64</Password>; that is where it is read. Empty for every other platform, and until it is there.
 */
import { localHost } from "#cloud/hosts/local.ts"
import type { Handler } from "../handler.ts"
import { instanceKind } from "./record.ts"

const consoleBytes = 65_536
/** RSA of 2,048 or 4,096 bits in base64, with line breaks. */
const pattern = /<Password>\s*([A-Za-z0-9+/=\s]{1,1400}?)\s*<\/Password>/g

export const getPasswordData: Handler<"GetPasswordData"> = async (input, call) => {
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:GetPasswordData", instance)
  const { state, platform, keyName } = instance.record
  const asked = platform === "windows" && keyName !== undefined && state !== "terminated"
  const output = asked ? await call.cloud.hosts.consoleOutput(localHost, instance.id, consoleBytes) : Buffer.alloc(0)
  const found = [...output.toString("latin1").matchAll(pattern)].at(-1)?.[1] ?? ""
  return { InstanceId: instance.id, Timestamp: new Date(call.nowMs), PasswordData: found.replace(/\s+/g, "") }
}
