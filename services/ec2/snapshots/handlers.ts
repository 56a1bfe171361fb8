/** DescribeSnapshots, DeleteSnapshot, and the table of the family. */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { toSnapshot } from "./answer.ts"
import { attributes } from "./attributes.ts"
import { creation } from "./copy.ts"
import { requireOwnSnapshot, requireSnapshots } from "./find.ts"
import { type SnapshotRecord, snapshotKind } from "./record.ts"

const filterNames = [
  "description",
  "encrypted",
  "owner-alias",
  "owner-id",
  "progress",
  "snapshot-id",
  "start-time",
  "status",
  "storage-tier",
  "transfer-type",
  "volume-id",
  "volume-size",
]

const describeSnapshots: Handler<"DescribeSnapshots"> = async (input, call) => {
  const ids = input.SnapshotIds ?? []
  const named = input.MaxResults === undefined ? await requireSnapshots(call, ids) : []
  const page = await call.describe({
    kind: snapshotKind,
    ids,
    idsCalled: "snapshotSet",
    filterNames,
    ...asked(input),
    accounts: named.map(({ account }) => account),
    also: [
      { name: "visible-to", values: [call.account, "all"] },
      ...ownerCondition(input, call),
      ...restorableCondition(input, call),
    ],
  })
  return { Snapshots: page.items.map((snapshot) => toSnapshot(call, snapshot)), ...nextToken(page) }
}

const requireAccount = (id: string): string => {
  if (/^\d{12}$/.test(id)) return id
  throw raise("InvalidUserID.Malformed", { id })
}

function ownerCondition({ OwnerIds: owners = [] }: Input<"DescribeSnapshots">, call: Call) {
  if (owners.length === 0) return []
  // Nothing that ships with Fractus has a snapshot that others could use.
  const known = owners.filter((owner) => owner !== "amazon" && owner !== "aws-marketplace")
  const values = known.map((owner) => (owner === "self" ? call.account : requireAccount(owner)))
  return [{ name: "owner-id", values: values.length === 0 ? ["nobody"] : values }]
}

/** Those that were shared with an account, or with all. */
function restorableCondition({ RestorableByUserIds: users = [] }: Input<"DescribeSnapshots">, call: Call) {
  if (users.length === 0) return []
  const values = users.map((user) => (user === "self" ? call.account : user === "all" ? user : requireAccount(user)))
  return [{ name: "restorable-by", values }]
}

/** Volumes that were made of it stay. Refused while an image is made of it. */
const deleteSnapshot: Handler<"DeleteSnapshot"> = async (input, call) => {
  const snapshot = await requireOwnSnapshot(call, input.SnapshotId)
  call.authorize("ec2:DeleteSnapshot", snapshot)
  const image = await userOf(call, snapshot.id)
  if (image !== undefined) throw raise("InvalidSnapshot.InUse", { id: snapshot.id, image })
  removeSnapshot(call, snapshot)
  await call.commit()
  return {}
}

/** An image that is made of the snapshot. */
export async function userOf(call: Call, id: string, apartFrom?: string): Promise<string | undefined> {
  const users = await call.store.related([id], "to", "blocks")
  return users.find(({ from }) => from !== apartFrom)?.from
}

/** The record, and what the host has. */
export function removeSnapshot(call: Call, snapshot: Resource<SnapshotRecord>): void {
  call.draft.remove(snapshot)
  call.draft.unassign(localHost, snapshot.id)
}

export const handlers = {
  ...attributes,
  ...creation,
  DeleteSnapshot: deleteSnapshot,
  DescribeSnapshots: pure(describeSnapshots),
} satisfies Handlers
