/** New snapshots in a draft: the records, and what the host is to make, all of one moment. */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import { newId, type Resource, type Tag } from "#cloud/resources/kind.ts"
import type { SnapshotSpec } from "#host/protocol/types.ts"
import { findKey } from "../ebs-encryption/keys.ts"
import { raise } from "../errors.ts"
import { noVolume, type SnapshotRecord, snapshotKind } from "./record.ts"

/** Of one volume that may be in the making, as on EC2 for most volume types. */
const mostPending = 5

export interface SnapshotWish {
  readonly from: SnapshotSpec["from"]
  readonly sizeGiB: number
  readonly description: string
  /** ARN of the key that it is encrypted with. */
  readonly kmsKey?: string | undefined
  readonly tags: readonly Tag[]
}

/** Who writes to the volumes, and whether it is shut down for the moment. */
export interface Writer {
  readonly guest?: string
  readonly atRest?: boolean
}

export async function createSnapshots(
  call: Call,
  wishes: readonly SnapshotWish[],
  { guest, atRest }: Writer = {},
): Promise<readonly Resource<SnapshotRecord>[]> {
  const named = wishes.map((wish) => ({ ...wish, id: newId(snapshotKind.prefix) }))
  for (const { from } of named) if ("volume" in from) await requireFewPending(call, from.volume)
  const set = named.map(({ id, from, kmsKey }): SnapshotSpec => ({ id, from, ...keyOf(call, kmsKey) }))
  return named.map(({ id, from, sizeGiB, description, kmsKey, tags }, index) => {
    call.draft.assign(localHost, id, {
      kind: "snapshot",
      ...set[index]!,
      set,
      ...(guest === undefined ? {} : { guest }),
      ...(atRest === true && { atRest }),
    })
    const record: SnapshotRecord = {
      volume: "volume" in from ? from.volume : noVolume,
      sizeGiB,
      description,
      state: "pending",
      startedMs: call.nowMs,
      encrypted: kmsKey !== undefined,
      ...(kmsKey === undefined ? {} : { kmsKey }),
      users: [],
      public: false,
      tags,
    }
    return call.draft.create(snapshotKind, record, id)
  })
}

/** Once made, it is never made again: the bytes it would be made of are others by then. */
export function keepSnapshot(call: Call, { id, record }: Resource<SnapshotRecord>): void {
  call.draft.assign(localHost, id, {
    kind: "snapshot",
    id,
    from: { volume: record.volume },
    ...keyOf(call, record.kmsKey),
    set: [],
  })
}

const keyOf = (call: Call, arn: string | undefined) => (arn === undefined ? {} : { key: findKey(call, arn).id })

async function requireFewPending(call: Call, volume: string): Promise<void> {
  const made = await call.list(snapshotKind, "volume-id", volume)
  if (made.filter(({ record }) => record.state === "pending").length >= mostPending)
    throw raise("ConcurrentSnapshotLimitExceeded")
}
