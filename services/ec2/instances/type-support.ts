/** What an instance type asks of an instance's settings, whenever either is chosen: at launch, at a change and at a start. */
import { raise } from "../errors.ts"
import { findInstanceType } from "../instance-types/data.ts"

/** Throws Unsupported for EBS optimization that the type has not, InvalidParameterCombination where it needs ENA. */
export function requireTypeSupport(
  name: string,
  wanted: { readonly ebsOptimized: boolean; readonly enaSupport: boolean },
): void {
  if (!wanted.ebsOptimized && wanted.enaSupport) return
  const type = findInstanceType(name)
  if (wanted.ebsOptimized && type?.EbsInfo?.EbsOptimizedSupport === "unsupported")
    throw raise("Unsupported", {
      detail: "EBS-optimized instances are not supported for your requested configuration.",
    })
  if (!wanted.enaSupport && type?.NetworkInfo?.EnaSupport === "required")
    throw raise("InvalidParameterCombination", {
      detail: `Enhanced networking with the Elastic Network Adapter (ENA) is required for the '${name}' instance type. Ensure that your instance is enabled for ENA.`,
    })
}
