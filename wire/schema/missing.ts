import { Fault } from "#lib/fault.ts"
import { shown } from "../protocols/form.ts"
import type { Protocol } from "../types.ts"
import { expecting, memberMust, type Violation } from "./constraints/check.ts"

/**
 * The fault for required parameters that are not there, by their paths, and for values that break a rule, in the words of the protocol's
 * services; undefined for neither. `code` is that of a service which has one of its own for them.
 */
export function inputFault(
  paths: readonly string[],
  broken: readonly Broken[],
  protocol: Protocol,
  code?: string,
): Fault | undefined {
  const [first] = broken
  if (protocol === "ec2Query" && paths.length === 0 && first)
    return new Fault(
      "InvalidParameterValue",
      `Value (${shown(first.value ?? "")}) for parameter ${shown(first.path)} is invalid. ${first.constraint}`,
    )
  if (paths.length === 0 && broken.length === 0) return undefined
  if (protocol === "ec2Query") {
    return new Fault("MissingParameter", `The request must contain the parameter ${shown(paths[0] ?? "")}`)
  }
  // S3's words of the API reference's list of error codes.
  if (protocol === "restXml") return new Fault("InvalidRequest", `Missing required parameter: ${shown(paths[0] ?? "")}`)
  return constraintFault(
    [...broken, ...paths.map((path) => ({ path, value: null, constraint: "Member must not be null" }))],
    code ?? (protocol === "awsQuery" ? "ValidationError" : "ValidationException"),
  )
}

export interface Broken {
  /** "Filters.1.Values" */
  readonly path: string
  /** As it may be shown; null for none. */
  readonly value: string | null
  readonly constraint: string
}

/** What a value at a path breaks, in the words of EC2 or of all others. */
export function brokenBy(path: string, found: Violation, protocol?: Protocol): Broken {
  const value = textOf(found.value)
  return protocol === "ec2Query"
    ? { path: path + found.below.replaceAll(".member", ""), value, constraint: expecting(found) }
    : { path: path + found.below, value, constraint: memberMust(found) }
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(", ")}]`
  return typeof value === "string" ? value : JSON.stringify(value)
}

/** What AWS's query and JSON services say of values that break their model, as STS answers an AssumeRole without RoleArn. */
export function constraintFault(broken: readonly Broken[], code = "ValidationException"): Fault {
  const first = broken.slice(0, 10)
  const details = first.map(({ path, value, constraint }) => {
    const member = path.replaceAll(/(^|\.)([A-Z])/g, (found) => found.toLowerCase())
    const said = value === null ? "null" : `'${shown(value)}'`
    return `Value ${said} at '${shown(member)}' failed to satisfy constraint: ${constraint}`
  })
  const plural = first.length === 1 ? "error" : "errors"
  return new Fault(code, `${first.length} validation ${plural} detected: ${details.join("; ")}`)
}
