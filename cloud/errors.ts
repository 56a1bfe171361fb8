/** Errors as rows: code -> [HTTP status, message with {names}]. One table per service, beside it. */
import { Fault } from "#lib/fault.ts"

export type ErrorTable = Readonly<Record<string, readonly [status: number, message: string]>>
export type Raise<T extends ErrorTable> = (
  code: keyof T & string,
  values?: Readonly<Record<string, string | number | undefined>>,
) => Fault

/** Makes the function that builds a `Fault` from a row; `{name}` in the message is filled in from `values`. */
export function defineErrors<const T extends ErrorTable>(table: T): Raise<T> {
  return (code, values = {}) => {
    const row = table[code]
    if (row === undefined) throw new Error(`no such error row: ${code}`)
    const message = row[1].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""))
    return new Fault(code, message, row[0])
  }
}

/** Errors that every service shares. Messages as EC2 words them. */
export const commonErrors = {
  DependencyViolation: [400, "resource {id} has a dependent object"],
  DryRunOperation: [412, "Request would have succeeded, but DryRun flag is set."],
  IdempotentParameterMismatch: [400, "The client token has already been used with different parameters: {token}"],
  InternalError: [500, "An internal error has occurred"],
  InvalidParameterCombination: [400, "{detail}"],
  InvalidParameterValue: [400, "{detail}"],
  InvalidNextToken: [400, "The token is not valid: '{token}'"],
  MissingParameter: [400, "The request must contain the parameter {name}"],
  RequestLimitExceeded: [503, "Request limit exceeded."],
  UnauthorizedOperation: [403, "You are not authorized to perform this operation."],
  UnsupportedOperation: [
    400,
    "The operation {operation} is not done in this version of Fractus; docs/reference/coverage.md lists what is.",
  ],
} as const satisfies ErrorTable

export const raise = defineErrors(commonErrors)
