/** Whether the host starts an instance again whose machine was lost. */
import { findInstanceType } from "../instance-types/data.ts"
import type { InstanceRecord } from "./record.ts"

/** The default is what the type supports ("Automatic instance recovery"). Instance store, which would exclude it, there is none of. */
export function recovers({ type, attributes }: Pick<InstanceRecord, "type" | "attributes">): boolean {
  return attributes.maintenance?.autoRecovery !== "disabled" && findInstanceType(type)?.AutoRecoverySupported === true
}
