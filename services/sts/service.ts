/** STS: who is calling. */
import type * as STS from "@aws-sdk/client-sts"
import type { Call, Cloud } from "#cloud/call.ts"
import { createDispatcher, type Dispatcher } from "#cloud/service.ts"
import type { Input, Operation, Output } from "#wire/typed.ts"

type Handler<O extends Operation<typeof STS>> = (
  input: Input<typeof STS, O>,
  call: Call,
) => Promise<Output<typeof STS, O>>
type Handlers = { readonly [O in Operation<typeof STS>]?: Handler<O> }

/** GetCallerIdentity: needs no permission, as on AWS. */
const getCallerIdentity: Handler<"GetCallerIdentity"> = async (_, { info }) => ({
  UserId: info.caller.userId,
  Account: info.caller.account,
  Arn: info.caller.arn,
})

export const handlers = { GetCallerIdentity: getCallerIdentity } satisfies Handlers

/** What the wire calls for STS. Every other operation answers UnsupportedOperation. */
export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
