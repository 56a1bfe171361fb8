/** The list of ids that operations on several instances take. */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"

const maxIds = 1000

/** MissingParameter for none, InvalidParameterValue for more than 1,000, and the errors of ids that are none or nobody's. */
export async function readInstances(
  call: Call,
  ids: readonly string[] | undefined,
): Promise<readonly Resource<InstanceRecord>[]> {
  if (ids === undefined || ids.length === 0) throw raise("MissingParameter", { name: "InstanceId" })
  if (ids.length > maxIds)
    throw raise("InvalidParameterValue", { detail: `At most ${maxIds} instances can be named in one call` })
  return call.requireMany(instanceKind, ids)
}
