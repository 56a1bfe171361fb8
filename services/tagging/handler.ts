/** Types of this service's handlers, and its errors. */
import type * as SDK from "@aws-sdk/client-resource-groups-tagging-api"
import type { Call } from "#cloud/call.ts"
import { commonErrors, defineErrors } from "#cloud/errors.ts"
import type { Input, Operation, Output } from "#wire/typed.ts"

export type Handler<O extends Operation<typeof SDK>> = (
  input: Input<typeof SDK, O>,
  call: Call,
) => Promise<Output<typeof SDK, O>>
export type Handlers = { readonly [O in Operation<typeof SDK>]?: Handler<O> }

export const errors = {
  ...commonErrors,
  InvalidParameterException: [400, "{detail}"],
  PaginationTokenExpiredException: [400, "The pagination token is not one of this query"],
} as const
export const raise = defineErrors(errors)
export const invalid = (detail: string) => raise("InvalidParameterException", { detail })
export const expired = () => raise("PaginationTokenExpiredException")
