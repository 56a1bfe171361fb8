/** ARNs of what can be tagged. */
import type { Fault } from "#lib/fault.ts"
import type { Call } from "#cloud/call.ts"

/** "arn:aws:ec2:us-east-1:123456789012:instance/i-0123"; an image's has no account. */
export function arnOf(call: Pick<Call, "region" | "account">, resourceType: string, id: string): string {
  return `arn:aws:ec2:${call.region}:${resourceType === "image" ? "" : call.account}:${resourceType}/${id}`
}

/** The id that an ARN of the caller's names. Throws what `invalid` makes of the reason. */
export function idOf(call: Pick<Call, "region" | "account">, arn: string, invalid: (why: string) => Fault): string {
  const [, service, region, account, type, id] =
    /^arn:aws:([a-z0-9-]+):([a-z0-9-]*):(\d*):([a-z-]+)\/(.+)$/.exec(arn) ?? []
  if (!service || !type || !id || arn.length > 1011) throw invalid(`The ARN ${arn.slice(0, 200)} is not valid`)
  if (service !== "ec2") throw invalid(`The service ${service} has no tags here`)
  if (region !== call.region) throw invalid(`The resource ${arn} is not in the Region ${call.region}`)
  if (account !== call.account && account !== "") throw invalid(`The resource ${arn} is another account's`)
  return id
}
