/** SendDiagnosticInterrupt: a non-maskable interrupt, which a kernel can be told to panic at ("Send a diagnostic interrupt"). */
import { localHost } from "#cloud/hosts/local.ts"
import type { Handler } from "../handler.ts"
import { notInState } from "./lifecycle.ts"
import { instanceKind } from "./record.ts"

export const sendDiagnosticInterrupt: Handler<"SendDiagnosticInterrupt"> = async (input, call) => {
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:SendDiagnosticInterrupt", instance)
  if (instance.record.state !== "running") throw notInState(instance.id, "interrupted")
  // Nothing is changed; but a dry run ends here, with no interrupt sent.
  await call.commit()
  await call.cloud.hosts.interrupt(localHost, instance.id)
  return {}
}
