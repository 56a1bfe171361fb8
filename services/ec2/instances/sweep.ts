/** Terminated instances are seen for an hour, then forgotten. */
import type { Cloud } from "#cloud/call.ts"
import { commitDraft, createDraft } from "#cloud/resources/draft.ts"
import { fromStored } from "#cloud/resources/kind.ts"
import { ConflictError } from "#store/types.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"

const visibleMs = 3_600_000
const batch = 1000

/** Removes instances that were terminated an hour of cloud time ago, at most 1,000. */
export async function sweepTerminated(cloud: Cloud): Promise<void> {
  const page = await cloud.store.query({
    kind: instanceKind.name,
    accounts: [],
    regions: [],
    facets: [{ name: "instance-state-name", values: ["terminated"] }],
    limit: batch,
  })
  const nowMs = cloud.clock.cloudMs()
  const old = page.items
    .map((stored) => fromStored<InstanceRecord>(stored))
    .filter(({ record }) => nowMs - (record.terminatedMs ?? nowMs) >= visibleMs)
  for (const instance of old) {
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
  let after: number | undefined
  do {
    const page = await cloud.store.query({
      kind: instanceKind.name,
      accounts: [],
      regions: [],
      facets: [{ name: "instance-state-name", values: ["shutting-down"] }],
      limit: batch,
      ...(after === undefined ? {} : { after }),
    })
    ids.push(...page.items.map((stored) => stored.id))
    after = page.next
  } while (after !== undefined)
  return ids
}
