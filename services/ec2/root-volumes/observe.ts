/** What becomes of a replacement of a root volume, as the host carries it out. */
import { localHost } from "#cloud/hosts/local.ts"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import type { GuestStatus } from "#host/protocol/types.ts"
import { reassignGuest } from "../instances/assignment.ts"
import { instanceKind, type InstanceRecord } from "../instances/record.ts"
import { volumeKind } from "../volumes/record.ts"
import { replaceRootVolumeTaskKind, type ReplaceRootVolumeTaskRecord } from "./record.ts"

type Instance = Resource<InstanceRecord>

/** Of a running instance whose root volume is being replaced, seen with this start. True where that is all there is to do. Commits at most once. */
export async function observeReplacement(call: Call, instance: Instance, status: GuestStatus): Promise<boolean> {
  const { rootReplacement } = instance.record
  if (rootReplacement === undefined || instance.record.state !== "running") return false
  if (status.phase === "on") {
    const record = await endReplacement(call, instance.record, true)
    call.draft.update(instanceKind, instance, { ...record, runningMs: call.nowMs })
    call.draft.event("root-volume", instance.id, { state: "replaced" })
    await call.commit()
    return true
  }
  const task = await call.find(replaceRootVolumeTaskKind, rootReplacement.task)
  if (status.trouble?.final === true && task?.record.state !== "failing") {
    await goBack(call, instance)
    await call.commit()
    return true
  }
  if (status.phase !== "starting") return false
  if (task?.record.state === "pending") {
    call.draft.update(replaceRootVolumeTaskKind, task, { ...task.record, state: "in-progress" })
    await call.commit()
  }
  return true
}

/** It cannot start with the new volume: it is to start once more, with the one it had, and the task fails when it does. */
async function goBack(call: Call, instance: Instance): Promise<void> {
  const { rootReplacement, launchedImage: _, ...record } = instance.record
  if (rootReplacement === undefined) return
  const root = record.blockDevices.find(({ device }) => device === record.rootDevice)
  const changed = call.draft.update(instanceKind, instance, {
    ...record,
    ...rootReplacement.before,
    starts: record.starts + 1,
    blockDevices: record.blockDevices.map((each) =>
      each === root ? { ...each, volume: rootReplacement.replaced } : each,
    ),
    // What goes now is the one that was to come.
    rootReplacement: { ...rootReplacement, replaced: root?.volume ?? rootReplacement.replaced },
  })
  const task = await call.find(replaceRootVolumeTaskKind, rootReplacement.task)
  if (task) call.draft.update(replaceRootVolumeTaskKind, task, { ...task.record, state: "failing" })
  await reassignGuest(call, changed)
}

/**
 * Puts the end of a replacement into the draft, and gives the instance's record without it; the same one where there is none. `attached`: it runs
 * with the volume that it has now. One that fails leaves no new volume behind; the old one goes or stays as the task says.
 */
export async function endReplacement(call: Call, record: InstanceRecord, attached: boolean): Promise<InstanceRecord> {
  const { rootReplacement, ...rest } = record
  if (rootReplacement === undefined) return record
  const task = await call.find(replaceRootVolumeTaskKind, rootReplacement.task)
  const failing = task?.record.state === "failing"
  if (task) {
    const state: ReplaceRootVolumeTaskRecord["state"] = failing ? "failed" : "succeeded"
    call.draft.update(replaceRootVolumeTaskKind, task, { ...task.record, state, completedMs: call.nowMs })
  }
  const gone = await call.find(volumeKind, rootReplacement.replaced)
  if (gone && (failing || task?.record.deleteReplaced === true)) {
    call.draft.remove(gone)
    call.draft.unassign(localHost, gone.id)
  } else if (gone) {
    const { attachment: _, ...detached } = gone.record
    call.draft.update(volumeKind, gone, { ...detached, state: "available" })
  }
  if (!attached) return rest
  const root = rest.blockDevices.find(({ device }) => device === rest.rootDevice)
  const volume = root && (await call.find(volumeKind, root.volume))
  if (volume?.record.attachment)
    call.draft.update(volumeKind, volume, {
      ...volume.record,
      state: "in-use",
      attachment: { ...volume.record.attachment, status: "attached" },
    })
  return {
    ...rest,
    blockDevices: rest.blockDevices.map((each) => (each === root ? { ...each, status: "attached" as const } : each)),
  }
}
