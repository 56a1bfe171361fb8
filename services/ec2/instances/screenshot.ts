/** GetConsoleScreenshot: what the display of a running instance shows, as a JPEG. WakeUp presses a key before. */
import { localHost } from "#cloud/hosts/local.ts"
import { notInState } from "./lifecycle.ts"
import type { Handler } from "../handler.ts"
import { toJpeg } from "./jpeg.ts"
import { instanceKind } from "./record.ts"

export const getConsoleScreenshot: Handler<"GetConsoleScreenshot"> = async (input, call) => {
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:GetConsoleScreenshot", instance)
  if (instance.record.state !== "running") throw notInState(instance.id, "photographed")
  // Nothing is changed; but a dry run ends here, with no key pressed.
  await call.commit()
  const picture = await call.cloud.hosts.screenshot(localHost, instance.id, input.WakeUp ?? false)
  return { InstanceId: instance.id, ImageData: (await toJpeg(picture)).toString("base64") }
}
