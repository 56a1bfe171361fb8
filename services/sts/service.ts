/** STS: who is calling. */
import type * as STS from "@aws-sdk/client-sts"
import type { Cloud } from "#cloud/call.ts"
import { createDispatcher, type Dispatcher } from "#cloud/service.ts"
import type { Operation } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"

type Handler<O extends Operation<typeof STS>> = HandlerOf<typeof STS, O>

/** GetCallerIdentity: needs no permission, as on AWS. */
const getCallerIdentity: Handler<"GetCallerIdentity"> = async (_, { info }) => ({
  UserId: info.caller.userId,
  Account: info.caller.account,
  Arn: info.caller.arn,
})

export const handlers = { GetCallerIdentity: getCallerIdentity } satisfies HandlersOf<typeof STS>

/** What the wire calls for STS. Every other operation answers UnsupportedOperation. */
export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
