/** What the host says of a snapshot becomes its state, and that of the image that is made of it. */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import type { Status, Trouble } from "#host/protocol/types.ts"
import { snapshotsOf } from "../images/devices.ts"
import { type ImageRecord, imageKind } from "../images/record.ts"
import { keepSnapshot } from "./create.ts"
import { type SnapshotRecord, snapshotKind } from "./record.ts"

/** Commits through the call, at most once. */
export async function observeSnapshot(
  call: Call,
  id: string,
  status: Pick<Status, "phase" | "trouble">,
): Promise<void> {
  const snapshot = await call.find(snapshotKind, id)
  if (snapshot === undefined) return
  const failed = status.trouble?.final === true ? status.trouble : undefined
  if (snapshot.record.state !== "pending") return
  if (failed) fail(call, snapshot, failed)
  else if (status.phase === "ready") complete(call, snapshot)
  else return
  for (const image of await call.list(imageKind, "block-device-mapping.snapshot-id", id))
    if (image.record.state === "pending") await carryOn(call, image, id, failed)
  await call.commit()
}

function complete(call: Call, snapshot: Resource<SnapshotRecord>): void {
  const { record } = snapshot
  call.draft.update(snapshotKind, snapshot, { ...record, state: "completed", completedMs: call.nowMs })
  keepSnapshot(call, snapshot)
}

function fail(call: Call, snapshot: Resource<SnapshotRecord>, { message }: Trouble): void {
  call.draft.update(snapshotKind, snapshot, { ...snapshot.record, state: "error", message: told(message) })
  call.draft.unassign(localHost, snapshot.id)
}

/** The image is put in any case, so that two of its snapshots that are seen at once do not both take the other for missing. */
async function carryOn(call: Call, image: Resource<ImageRecord>, seen: string, failed: Trouble | undefined) {
  if (failed) {
    const stateReason = { code: "Server.InternalError", message: told(failed.message) }
    call.draft.update(imageKind, image, { ...image.record, state: "failed", stateReason })
    return
  }
  const others = snapshotsOf(image.record).filter((id) => id !== seen)
  const found = await call.load(snapshotKind, others)
  const whole = others.every((id) => found.get(id)?.record.state === "completed")
  call.draft.update(imageKind, image, { ...image.record, ...(whole && { state: "available" }) })
}

/** Folders of the host are not said. */
const told = (message: string) => message.replace(/\/[\w.:-]+(\/[\w.:-]*)+/g, "(a file)").slice(0, 500)
