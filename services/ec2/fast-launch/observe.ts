/** What the host says of a warm template becomes the state of the image's fast launch. */
import type { Call } from "#cloud/call.ts"
import type { Status } from "#host/protocol/types.ts"
import { type FastLaunchRecord, fastLaunchKind } from "./record.ts"
import { removeFastLaunch } from "./remove.ts"

/** A template was seen. Commits through the call, at most once. */
export async function observeFastLaunch(
  call: Call,
  id: string,
  status: Pick<Status, "phase" | "trouble">,
): Promise<void> {
  const fastLaunch = await call.find(fastLaunchKind, id)
  if (fastLaunch === undefined) return
  const { record } = fastLaunch
  const next = nextState(record, status)
  if (next === undefined) return
  if (next === "gone") removeFastLaunch(call, fastLaunch)
  else call.draft.update(fastLaunchKind, fastLaunch, { ...record, ...next, changedMs: call.nowMs })
  await call.commit()
}

function nextState(
  { state, reason }: FastLaunchRecord,
  { phase, trouble }: Pick<Status, "phase" | "trouble">,
): Pick<FastLaunchRecord, "state" | "reason"> | "gone" | undefined {
  const failed = (into: FastLaunchRecord["state"]) => {
    const message = (trouble?.message ?? "").slice(0, 500)
    return state === into && reason === message ? undefined : { state: into, reason: message }
  }
  if (state === "disabling" || state === "disabling-failed") {
    if (phase === "absent") return "gone"
    return trouble ? failed("disabling-failed") : undefined
  }
  if (phase === "ready") return state === "enabled" ? undefined : { state: "enabled", reason: "Client.UserInitiated" }
  if (!trouble) return undefined
  return failed(state === "enabled" || state === "enabled-failed" ? "enabled-failed" : "enabling-failed")
}

/** Ids of what is being removed: the host is asked for its end again after a restart. */
export async function endingFastLaunches(store: Call["store"]): Promise<readonly string[]> {
  const states = ["disabling", "disabling-failed"]
  const page = await store.query({
    kind: fastLaunchKind.name,
    accounts: [],
    regions: [],
    facets: [{ name: "state", values: states }],
    limit: 1000,
  })
  return page.items.map(({ id }) => id)
}
