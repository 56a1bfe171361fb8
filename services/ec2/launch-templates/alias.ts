/** "resolve:ssm:NAME" as the image of a template: shown as it is, or as the image that it means now (`ResolveAlias`). */
import type { Call } from "#cloud/call.ts"
import { byParameter, imageResolver } from "../images/public-parameters.ts"
import type { TemplateData } from "./data.ts"

/** What shows data: as they are unless `wanted`. A parameter that is not there stays what it is. */
export async function aliasResolver(
  call: Call,
  wanted: boolean | undefined,
): Promise<(data: TemplateData) => TemplateData> {
  if (wanted !== true) return (data) => data
  const resolve = await imageResolver(call)
  return (data) => {
    if (!data.ImageId?.startsWith(byParameter)) return data
    const ImageId = resolve(data.ImageId.slice(byParameter.length))
    return ImageId === undefined ? data : { ...data, ImageId }
  }
}
