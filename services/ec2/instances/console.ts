/** GetConsoleOutput: the last 64 KB of what the guest wrote to its serial port. */
import { localHost } from "#cloud/hosts/local.ts"
import type { Handler } from "../handler.ts"
import { instanceKind } from "./record.ts"

const consoleBytes = 65_536

export const getConsoleOutput: Handler<"GetConsoleOutput"> = async (input, call) => {
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:GetConsoleOutput", instance)
  const alive = instance.record.state !== "terminated"
  const output = alive ? await call.cloud.hosts.consoleOutput(localHost, instance.id, consoleBytes) : Buffer.alloc(0)
  return {
    InstanceId: instance.id,
    Timestamp: new Date(call.nowMs),
    ...(output.length === 0 ? {} : { Output: output.toString("base64") }),
  }
}
