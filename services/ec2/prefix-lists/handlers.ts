/**
 * Managed prefix lists: named sets of CIDRs that rules of security groups refer to. A change is in force when the call is answered, so that
 * describes show states that are complete, and only what makes the change answers "in progress" as EC2 does.
 */
import type { Call } from "#cloud/call.ts"
import { earlierResult, rememberToken } from "#cloud/resources/idempotency.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { tagsFor } from "../tags/specifications.ts"
import { toPrefixList } from "./answer.ts"
import { changedEntries, readEntries, readFamily, readMaxEntries, readName, requireFit } from "./entries.ts"
import { getManagedPrefixListAssociations, getManagedPrefixListEntries } from "./get.ts"
import { type Entry, type PrefixListRecord, prefixListKind, versionId, versionKind } from "./record.ts"
import { followList, groupsTooSmall } from "./references.ts"

/** "Amazon VPC quotas". */
const maxPerRegion = 100
const maxVersions = 1000
/** Groups that the message of a failed resize names. */
const namedInMessage = 10

type List = Resource<PrefixListRecord>

const createManagedPrefixList: Handler<"CreateManagedPrefixList"> = async (input, call) => {
  const name = readName(input.PrefixListName)
  const family = readFamily(input.AddressFamily)
  const maxEntries = readMaxEntries(input.MaxEntries)
  const entries = readEntries(family, input.Entries ?? [])
  requireFit(entries.length, maxEntries)
  const tags = tagsFor(input.TagSpecifications, "prefix-list")
  const { ClientToken: token, DryRun: _, ...parameters } = input
  const earlier = await earlierResult(call, token, parameters)
  if (earlier !== undefined) return { PrefixList: toPrefixList(await call.require(prefixListKind, earlier)) }
  const scope = `prefix-list:${call.account}:${call.region}`
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxPerRegion) throw raise("PrefixListLimitExceeded", { limit: maxPerRegion })
  const record = { name, family, maxEntries, version: 1, entries, state: "create-complete" as const, tags }
  const list = call.draft.create(prefixListKind, record)
  call.draft.claim(scope, list.id, list.id)
  putVersion(call, list.id, 1, entries)
  rememberToken(call, token, parameters, list.id)
  await call.commit()
  return { PrefixList: toPrefixList(list, "create-in-progress") }
}

function putVersion(call: Call, list: string, version: number, entries: readonly Entry[]): void {
  const id = versionId(list, version)
  call.draft.create(versionKind, { entries, tags: [] }, id)
  call.draft.link(id, list, "owned")
}

/** Name, entries or size. A description is changed by two calls: one that removes the entry, one that adds it. */
const modifyManagedPrefixList: Handler<"ModifyManagedPrefixList"> = async (input, call) => {
  const { AddEntries: adding = [], RemoveEntries: removing = [], MaxEntries: size, PrefixListName: name } = input
  if (input.IpamPrefixListResolverSyncEnabled !== undefined)
    throw raise("UnsupportedOperation", { operation: "ModifyManagedPrefixList with IpamPrefixListResolverSyncEnabled" })
  const list = await requireList(call, "ec2:ModifyManagedPrefixList", input.PrefixListId)
  requireVersion(list, input.CurrentVersion)
  const changes = adding.length + removing.length
  if (changes > 0 && size !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "You cannot modify the entries and the maximum entries for the prefix list in the same request.",
    })
  if (changes === 0 && size === undefined && name === undefined)
    throw raise("MissingParameter", { name: "AddEntries, RemoveEntries, MaxEntries or PrefixListName" })
  const { stateMessage: _, ...before } = list.record
  const record = {
    ...before,
    ...(name === undefined ? {} : { name: readName(name) }),
    state: "modify-complete" as const,
  }
  const { family } = record
  const changed =
    changes > 0
      ? await putEntries(
          call,
          list,
          record,
          changedEntries(list.record, readEntries(family, removing), readEntries(family, adding)),
        )
      : call.draft.update(
          prefixListKind,
          list,
          size === undefined ? record : await resized(call, list, record, readMaxEntries(size)),
        )
  await call.commit()
  return { PrefixList: toPrefixList(changed, "modify-in-progress") }
}

/** A size that a group has no room for leaves the list as it is, with the groups in its state's message. */
async function resized(call: Call, list: List, record: PrefixListRecord, maxEntries: number) {
  requireFit(record.entries.length, maxEntries)
  const small = maxEntries > record.maxEntries ? await groupsTooSmall(call, list, maxEntries) : []
  if (small.length === 0) return { ...record, maxEntries }
  const named = small.slice(0, namedInMessage).join(", ")
  return {
    ...record,
    state: "modify-failed" as const,
    stateMessage: `The following resources do not support ${maxEntries} entries: ${named}`,
  }
}

/** The next version of the list, in the draft with all that refers to it. The oldest of more than 1,000 versions goes. */
async function putEntries(call: Call, list: List, record: PrefixListRecord, entries: readonly Entry[]): Promise<List> {
  const version = list.record.version + 1
  putVersion(call, list.id, version, entries)
  if (version > maxVersions) {
    const oldest = await call.find(versionKind, versionId(list.id, version - maxVersions))
    if (oldest !== undefined) call.draft.remove(oldest)
  }
  const changed = call.draft.update(prefixListKind, list, { ...record, version, entries })
  await followList(call, changed)
  return changed
}

const restoreManagedPrefixListVersion: Handler<"RestoreManagedPrefixListVersion"> = async (input, call) => {
  const { PreviousVersion: previous, CurrentVersion: current } = input
  if (previous === undefined) throw raise("MissingParameter", { name: "PreviousVersion" })
  if (current === undefined) throw raise("MissingParameter", { name: "CurrentVersion" })
  const list = await requireList(call, "ec2:RestoreManagedPrefixListVersion", input.PrefixListId)
  requireVersion(list, current)
  const found = previous < current ? await call.find(versionKind, versionId(list.id, previous)) : undefined
  if (found === undefined)
    throw raise("InvalidParameterValue", {
      detail: `The prefix list '${list.id}' has no earlier version ${previous}.`,
    })
  requireFit(found.record.entries.length, list.record.maxEntries)
  const { stateMessage: _, ...record } = list.record
  const restored = await putEntries(call, list, { ...record, state: "restore-complete" }, found.record.entries)
  await call.commit()
  return { PrefixList: toPrefixList(restored, "restore-in-progress") }
}

/** DependencyViolation while a rule refers to it. */
const deleteManagedPrefixList: Handler<"DeleteManagedPrefixList"> = async (input, call) => {
  const list = await requireList(call, "ec2:DeleteManagedPrefixList", input.PrefixListId)
  call.draft.remove(list)
  await call.commit()
  return { PrefixList: toPrefixList(list, "delete-in-progress") }
}

const describeManagedPrefixLists: Handler<"DescribeManagedPrefixLists"> = async (input, call) => {
  const page = await call.describe({
    kind: prefixListKind,
    ids: input.PrefixListIds,
    filterNames: ["owner-id", "prefix-list-id", "prefix-list-name"],
    bounds: [1, 100],
    ...asked(input),
  })
  return { PrefixLists: page.items.map((list) => toPrefixList(list)), ...nextToken(page) }
}

async function requireList(call: Call, action: string, id: string | undefined): Promise<List> {
  const list = await call.require(prefixListKind, id, "PrefixListId")
  call.authorize(action, list)
  return list
}

function requireVersion({ record }: List, given: number | undefined): void {
  if (given !== undefined && given !== record.version) throw raise("PrefixListVersionMismatch")
}

export const handlers = {
  CreateManagedPrefixList: createManagedPrefixList,
  DeleteManagedPrefixList: deleteManagedPrefixList,
  DescribeManagedPrefixLists: pure(describeManagedPrefixLists),
  GetManagedPrefixListAssociations: pure(getManagedPrefixListAssociations),
  GetManagedPrefixListEntries: pure(getManagedPrefixListEntries),
  ModifyManagedPrefixList: modifyManagedPrefixList,
  RestoreManagedPrefixListVersion: restoreManagedPrefixListVersion,
} satisfies Handlers
