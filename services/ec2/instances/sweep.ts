/** Terminated instances are seen for an hour, then forgotten. */
import type { Cloud } from "#cloud/call.ts"
import { commitDraft, createDraft } from "#cloud/resources/draft.ts"
import { fromStored, type Resource } from "#cloud/resources/kind.ts"
import { ConflictError } from "#store/types.ts"
import { instanceKind, type InstanceRecord, type InstanceState } from "./record.ts"

const visibleMs = 3_600_000
const batch = 1000

/** Removes instances that were terminated an hour of cloud time ago. */
export async function sweepTerminated(cloud: Cloud): Promise<void> {
  const nowMs = cloud.clock.cloudMs()
  for await (const instance of inState(cloud, "terminated")) {
    if (nowMs - (instance.record.terminatedMs ?? nowMs) < visibleMs) continue
    const draft = createDraft({ account: instance.account, region: instance.region, nowMs })
    draft.remove(instance)
    try {
      await commitDraft(cloud.store, draft, cloud.sink)
    } catch (error) {
      // Somebody tagged it this very moment: the next sweep takes it.
      if (!(error instanceof ConflictError)) throw error
    }
  }
}

/** Instances whose end was asked for and not yet seen. */
export async function endingInstances(cloud: Cloud): Promise<readonly string[]> {
  const ids: string[] = []
  for await (const instance of inState(cloud, "shutting-down")) ids.push(instance.id)
  return ids
}

/** All of every account and region, a page at a time. */
async function* inState(cloud: Cloud, state: InstanceState): AsyncGenerator<Resource<InstanceRecord>> {
  let after: number | undefined
  do {
    const page = await cloud.store.query({
      kind: instanceKind.name,
      accounts: [],
      regions: [],
      facets: [{ name: "instance-state-name", values: [state] }],
      limit: batch,
      ...(after === undefined ? {} : { after }),
    })
    for (const stored of page.items) yield fromStored<InstanceRecord>(stored)
    after = page.next
  } while (after !== undefined)
}
