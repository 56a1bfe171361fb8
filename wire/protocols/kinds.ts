/** Which protocol a request speaks. */
import { Fault } from "#lib/fault.ts"
import { firstOf, type SignedRequest } from "../signature/claim.ts"
import type { Protocol, QueryProtocol, RestProtocol, RpcProtocol, ServiceBinding } from "../types.ts"

export const isQuery = (protocol: Protocol): protocol is QueryProtocol =>
  protocol === "ec2Query" || protocol === "awsQuery"
export const isRest = (protocol: Protocol): protocol is RestProtocol =>
  protocol === "restJson1" || protocol === "restXml"

/** What a request says of itself by its headers; undefined for forms and REST, which only their service tells apart. */
export function saidProtocol({ headers }: SignedRequest): RpcProtocol | undefined {
  if (firstOf(headers, "smithy-protocol") === "rpc-v2-cbor") return "rpcv2Cbor"
  if (headers["x-amz-target"] === undefined) return undefined
  const type = firstOf(headers, "content-type") ?? ""
  return type.startsWith("application/x-amz-json-1.0") ? "awsJson1_0" : "awsJson1_1"
}

/** The protocol of a call to a service. Throws UnsupportedMediaType for one that the service does not speak. */
export function protocolOf(said: RpcProtocol | undefined, { protocol, also = [] }: ServiceBinding): Protocol {
  const spoken = [protocol, ...also]
  if (said === undefined) return spoken.find((each) => isQuery(each) || isRest(each)) ?? protocol
  const isJson = (each: Protocol) => each === "awsJson1_0" || each === "awsJson1_1"
  if (spoken.includes(said)) return said
  if (isJson(said) && spoken.some(isJson)) return said
  throw new Fault("UnsupportedMediaType", "This service does not speak this protocol", 415)
}
