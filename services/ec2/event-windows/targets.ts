/**
 * What an event window is for: instances, or tags of instances, of one sort only. A target is in one window of its account and region, which
 * its claim makes sure of.
 */
import type { Call } from "#cloud/call.ts"
import { isId, type Resource, type Tag } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { type GivenTag, readTag } from "../tags/rules.ts"
import { type EventWindowRecord, eventWindowKind, type Targets } from "./record.ts"

const most = { instances: 100, instanceTags: 50 }

interface Given {
  readonly InstanceIds?: readonly string[] | undefined
  readonly InstanceTags?: readonly GivenTag[] | undefined
  readonly DedicatedHostIds?: readonly string[] | undefined
}

/** Exactly one sort of target; tags that the system makes may be named, though nobody can set them. Windows of Dedicated Hosts are not done. */
export function readTargets(given: Given | undefined): Targets {
  const { InstanceIds: ids = [], InstanceTags: tags = [], DedicatedHostIds: hosts = [] } = given ?? {}
  const sorts = [ids, tags, hosts].filter((list) => list.length > 0).length
  if (sorts === 0) throw raise("MissingParameter", { name: "AssociationTarget" })
  if (sorts > 1) throw oneSort()
  for (const id of hosts) {
    if (!isId("h", id)) throw raise("InvalidHostID.Malformed", { id })
    throw raise("UnsupportedOperation", { operation: "AssociateInstanceEventWindow with DedicatedHostIds" })
  }
  return {
    instances: [...new Set(ids)],
    instanceTags: unique(tags.map(({ Key, Value = "" }) => readTag({ Key, Value }, true))),
  }
}

function unique(tags: readonly Tag[]): readonly Tag[] {
  return [...new Map(tags.map((tag) => [keyOf(tag), tag])).values()]
}

/** Puts the window with further targets into the draft. Resource.AlreadyAssociated for one that is another window's. */
export async function addTargets(
  call: Call,
  window: Resource<EventWindowRecord>,
  added: Targets,
): Promise<Resource<EventWindowRecord>> {
  const now = window.record.targets
  if (now.instances.length + added.instances.length > 0 && now.instanceTags.length + added.instanceTags.length > 0)
    throw oneSort()
  const targets = {
    instances: [...new Set([...now.instances, ...added.instances])],
    instanceTags: unique([...now.instanceTags, ...added.instanceTags]),
  }
  for (const sort of ["instances", "instanceTags"] as const)
    if (targets[sort].length > most[sort])
      throw raise("InvalidParameterValue", {
        detail: `At most ${most.instances} instances or ${most.instanceTags} tags can be associated with an event window.`,
      })
  const scope = targetScope(call)
  const keys = keysOf(added)
  const other = (await call.store.claims(scope, keys)).find(({ owner }) => owner !== window.id)
  if (other !== undefined)
    throw raise("Resource.AlreadyAssociated", {
      detail: `A target of the request is already associated with the event window '${other.owner}'.`,
    })
  for (const key of keys) call.draft.claim(scope, key, window.id)
  return call.draft.update(eventWindowKind, window, { ...window.record, targets })
}

/** Puts the window without these targets into the draft. InvalidParameterValue for one that it has not. */
export function removeTargets(
  call: Call,
  window: Resource<EventWindowRecord>,
  removed: Targets,
): Resource<EventWindowRecord> {
  const { targets } = window.record
  const has = new Set(keysOf(targets))
  const gone = new Set(keysOf(removed))
  const missing = [...gone].find((key) => !has.has(key))
  if (missing !== undefined)
    throw raise("InvalidParameterValue", {
      detail: `A target of the request is not associated with the event window '${window.id}'.`,
    })
  for (const key of gone) call.draft.release(targetScope(call), key)
  return call.draft.update(eventWindowKind, window, {
    ...window.record,
    targets: {
      instances: targets.instances.filter((id) => !gone.has(id)),
      instanceTags: targets.instanceTags.filter((tag) => !gone.has(keyOf(tag))),
    },
  })
}

/** An instance that ends leaves its window. */
export async function leaveEventWindow(call: Call, instance: string): Promise<void> {
  for (const window of await call.list(eventWindowKind, "instance-id", instance))
    removeTargets(call, window, { instances: [instance], instanceTags: [] })
}

const targetScope = (call: Call) => `event-window-target:${call.account}:${call.region}`
const keyOf = ({ key, value }: Tag) => JSON.stringify([key, value])
const keysOf = ({ instances, instanceTags }: Targets) => [...instances, ...instanceTags.map(keyOf)]

const oneSort = () =>
  raise("InvalidParameterCombination", {
    detail:
      "Only one type of target (instance IDs, instance tags or Dedicated Host IDs) can be associated with an event window.",
  })
