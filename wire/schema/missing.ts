import { Fault } from "#lib/fault.ts"
import { shown } from "../protocols/form.ts"
import type { Protocol } from "../types.ts"

/** The fault for required parameters that are not there, by their paths, in the words of the protocol's services. */
export function missingFault(paths: readonly string[], protocol: Protocol): Fault {
  if (protocol === "ec2Query") {
    return new Fault("MissingParameter", `The request must contain the parameter ${shown(paths[0] ?? "")}`)
  }
  // S3's words of the API reference's list of error codes.
  if (protocol === "restXml") return new Fault("InvalidRequest", `Missing required parameter: ${shown(paths[0] ?? "")}`)
  return constraintFault(
    paths.map((path) => ({ path, value: null, constraint: "Member must not be null" })),
    protocol === "awsQuery" ? "ValidationError" : "ValidationException",
  )
}

export interface Broken {
  /** "Filters.1.Values" */
  readonly path: string
  /** As it may be shown; null for none. */
  readonly value: string | null
  readonly constraint: string
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
