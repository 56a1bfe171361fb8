/** DescribeSnapshotAttribute, ModifySnapshotAttribute, ResetSnapshotAttribute: who else may make volumes of a snapshot. */
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"
import { changed, readChange, toPermissions } from "../images/permissions.ts"
import { requireOwnSnapshot } from "./find.ts"
import { snapshotKind } from "./record.ts"

/** Throws InvalidParameterValue for what no snapshot has. */
function readAttribute(name: string | undefined, usual?: string): "createVolumePermission" | "productCodes" {
  const wanted = name ?? usual
  if (wanted === undefined) throw raise("MissingParameter", { name: "Attribute" })
  if (wanted === "createVolumePermission" || wanted === "productCodes") return wanted
  throw raise("InvalidParameterValue", {
    detail: `Value (${wanted.slice(0, 100)}) for parameter attribute is invalid. Unknown attribute.`,
  })
}

const describeAttribute: Handler<"DescribeSnapshotAttribute"> = async (input, call) => {
  const name = readAttribute(input.Attribute)
  const snapshot = await requireOwnSnapshot(call, input.SnapshotId)
  call.authorize("ec2:DescribeSnapshotAttribute", snapshot)
  const shown =
    name === "productCodes" ? { ProductCodes: [] } : { CreateVolumePermissions: toPermissions(snapshot.record) }
  return { SnapshotId: snapshot.id, ...shown }
}

const modifyAttribute: Handler<"ModifySnapshotAttribute"> = async (input, call) => {
  const name = readAttribute(input.Attribute, "createVolumePermission")
  if (name === "productCodes")
    throw raise("UnsupportedOperation", { operation: "ModifySnapshotAttribute of productCodes" })
  const { CreateVolumePermission: given, OperationType: operation, UserIds: users, GroupNames: groups } = input
  const change = readChange({ given, operation, users, groups })
  const snapshot = await requireOwnSnapshot(call, input.SnapshotId)
  call.authorize("ec2:ModifySnapshotAttribute", snapshot)
  // Nobody else has the account's managed key.
  if (change.add.length > 0 && snapshot.record.encrypted)
    throw raise("OperationNotPermitted", {
      detail: `Encrypted snapshots with EBS default key cannot be shared`,
    })
  call.draft.update(snapshotKind, snapshot, { ...snapshot.record, ...changed(snapshot.record, change) })
  await call.commit()
  return {}
}

const resetAttribute: Handler<"ResetSnapshotAttribute"> = async (input, call) => {
  const name = readAttribute(input.Attribute)
  if (name === "productCodes") throw raise("InvalidParameterValue", { detail: "productCodes cannot be reset" })
  const snapshot = await requireOwnSnapshot(call, input.SnapshotId)
  call.authorize("ec2:ResetSnapshotAttribute", snapshot)
  call.draft.update(snapshotKind, snapshot, { ...snapshot.record, users: [], public: false })
  await call.commit()
  return {}
}

export const attributes = {
  DescribeSnapshotAttribute: pure(describeAttribute),
  ModifySnapshotAttribute: modifyAttribute,
  ResetSnapshotAttribute: resetAttribute,
} satisfies Handlers
