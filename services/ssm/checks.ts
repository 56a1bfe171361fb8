/** What requests of Parameter Store may say, as its API reference bounds them. */
import type { ParameterStringFilter } from "@aws-sdk/client-ssm"
import { Fault } from "#lib/fault.ts"
import { constraintFault } from "#wire/schema/missing.ts"

/** ValidationException for one value. */
export function broken(path: string, value: unknown, constraint: string): Fault {
  const shown = Array.isArray(value) ? `[${value.join(", ")}]` : String(value)
  return constraintFault([{ path, value: shown, constraint }])
}

const longestName = 2048

export function checkName(name: string): void {
  if (!/^[a-zA-Z0-9_./-]+$/.test(name))
    throw new Fault(
      "ValidationException",
      'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_',
    )
}

/** The path with a slash at its end. Throws ValidationException. */
export function checkPath(path: string): string {
  if (!/^\/[a-zA-Z0-9_./-]*$/.test(path) || path.length > longestName)
    throw new Fault(
      "ValidationException",
      'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.',
    )
  return path.endsWith("/") ? path : `${path}/`
}

interface ReadFilter {
  readonly key: string
  readonly fits: (value: string) => boolean
}

/** Filters by the keys that an operation takes. Throws InvalidFilterKey, InvalidFilterOption and InvalidFilterValue. */
export function readFilters(
  filters: readonly ParameterStringFilter[] | undefined,
  keys: readonly string[],
): readonly ReadFilter[] {
  return (filters ?? []).map(({ Key = "", Option = "Equals", Values = [] }) => {
    if (!keys.includes(Key) && !Key.startsWith("tag:"))
      throw new Fault(
        "InvalidFilterKey",
        `The following filter key is not valid: ${Key}. Valid filter keys include: [${keys.join(", ")}]`,
      )
    const allowed = Key === "Path" ? ["Recursive", "OneLevel"] : ["Equals", "BeginsWith"]
    if (Option !== "Equals" && !allowed.includes(Option))
      throw new Fault(
        "InvalidFilterOption",
        `The following filter option is not valid: ${Option}. Valid options include: [${allowed.join(", ")}]`,
      )
    if (Values.length < 1 || Values.length > 50 || Values.some((value) => value === ""))
      throw new Fault(
        "InvalidFilterValue",
        `The following filter values are not valid for filter with key ${Key}: [${Values.join(", ")}]`,
      )
    return {
      key: Key,
      fits: (value) => Values.some((want) => (Option === "BeginsWith" ? value.startsWith(want) : value === want)),
    }
  })
}
