/** Which snapshots a caller sees: its own and those that others share with it or with all. */
import type { Call } from "#cloud/call.ts"
import { fromStored, notFound, requireId, type Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { type SnapshotRecord, snapshotKind } from "./record.ts"

export const sees = (account: string, { account: owner, record }: Resource<SnapshotRecord>) =>
  owner === account || record.public || record.users.includes(account)

/** In the order of the ids. Throws InvalidSnapshot.NotFound, or InvalidParameterValue for what is no id. */
export async function requireSnapshots(
  call: Call,
  ids: readonly string[],
): Promise<readonly Resource<SnapshotRecord>[]> {
  for (const id of ids) requireId(snapshotKind, id)
  const found = ids.length === 0 ? new Map<string, never>() : await call.store.getMany([...new Set(ids)])
  return [...new Set(ids)].map((id) => {
    const stored = found.get(id)
    const here = stored !== undefined && stored.kind === snapshotKind.name && stored.region === call.region
    const snapshot = here ? fromStored<SnapshotRecord>(stored) : undefined
    if (snapshot === undefined || !sees(call.account, snapshot)) throw notFound(snapshotKind, id)
    return snapshot
  })
}

/** One of the caller's own. Throws AuthFailure for one that is only shared with it. */
export async function requireOwnSnapshot(call: Call, id: string | undefined): Promise<Resource<SnapshotRecord>> {
  if (id === undefined || id === "") throw raise("MissingParameter", { name: "SnapshotId" })
  const [snapshot] = await requireSnapshots(call, [id])
  if (snapshot === undefined) throw notFound(snapshotKind, id)
  if (snapshot.account !== call.account) throw raise("AuthFailure", { detail: `Not authorized for snapshot:${id}` })
  return snapshot
}
