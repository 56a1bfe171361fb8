/** Types of this service's handlers, and its errors. */
import type * as SDK from "@aws-sdk/client-resource-groups-tagging-api"
import { commonErrors, defineErrors } from "#cloud/errors.ts"
import type { Operation } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"

export type Handler<O extends Operation<typeof SDK>> = HandlerOf<typeof SDK, O>
export type Handlers = HandlersOf<typeof SDK>

export const errors = {
  ...commonErrors,
  InvalidParameterException: [400, "{detail}"],
  PaginationTokenExpiredException: [400, "The pagination token is not one of this query"],
} as const
export const raise = defineErrors(errors)
export const invalid = (detail: string) => raise("InvalidParameterException", { detail })
export const expired = () => raise("PaginationTokenExpiredException")
