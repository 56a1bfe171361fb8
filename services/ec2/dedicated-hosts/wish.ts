/** Tenancy, HostId and Affinity of a launch. */
import { raise } from "../errors.ts"

/** Of an instance with a tenancy of "host". */
export interface HostWish {
  /** On this one; otherwise on any that takes what fits. */
  readonly id?: string
  /** "host": it starts on its host only. */
  readonly affinity: "default" | "host"
}

interface Given {
  readonly Tenancy?: string | undefined
  readonly HostId?: string | undefined
  readonly Affinity?: string | undefined
}

/** Undefined for an instance of the usual tenancy. A host that is named asks for its tenancy too. */
export function readHostWish({ Tenancy: tenancy, HostId, Affinity: affinity }: Given): HostWish | undefined {
  const id = HostId === "" ? undefined : HostId
  requireOneOf("Tenancy", tenancy, ["default", "dedicated", "host"])
  requireOneOf("Affinity", affinity, ["default", "host"])
  if (tenancy === "dedicated")
    throw raise("UnsupportedOperation", { operation: "RunInstances with Placement.Tenancy=dedicated" })
  if (tenancy !== "host" && (tenancy !== undefined || id === undefined)) {
    if (id === undefined && affinity !== "host") return undefined
    throw raise("InvalidParameterCombination", {
      detail: "Affinity and HostId are for instances with a tenancy of 'host'.",
    })
  }
  return { ...(id !== undefined && { id }), affinity: affinity === "host" ? "host" : "default" }
}

export function requireOneOf(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value))
    throw raise("InvalidParameterValue", {
      detail: `Value (${value}) for parameter ${name} is invalid. Expected: ${allowed.join(", ")}.`,
    })
}
