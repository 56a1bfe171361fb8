/** Lists of accounts that may use an image or a snapshot, and the group of all: one shape, two operations. */
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import type { ImageRecord } from "./record.ts"

export interface Permissions {
  readonly users: readonly string[]
  readonly public: boolean
}

interface Permission {
  readonly UserId?: string | undefined
  readonly Group?: string | undefined
}

interface Change {
  readonly add: readonly Permission[]
  readonly remove: readonly Permission[]
}

interface Asked {
  readonly given:
    | { readonly Add?: readonly Permission[] | undefined; readonly Remove?: readonly Permission[] | undefined }
    | undefined
  readonly operation: string | undefined
  readonly users: readonly string[] | undefined
  readonly groups: readonly string[] | undefined
}

/** EC2 keeps so many of one resource. */
const most = 1_000

/** The newer form, lists of what is added and removed, or the older one: one operation on users and groups. Throws MissingParameter without either. */
export function readChange({ given, operation, users = [], groups = [] }: Asked): Change {
  if (given !== undefined) return checked({ add: given.Add ?? [], remove: given.Remove ?? [] })
  const named = [...users.map((UserId) => ({ UserId })), ...groups.map((Group) => ({ Group }))]
  if (named.length === 0) throw raise("MissingParameter", { name: "UserId or Group" })
  if (operation !== "add" && operation !== "remove")
    throw raise("InvalidParameterValue", {
      detail: `Value (${operation ?? ""}) for parameter operationType is invalid. Expected: add, remove.`,
    })
  return checked(operation === "add" ? { add: named, remove: [] } : { add: [], remove: named })
}

function checked(change: Change): Change {
  const all = [...change.add, ...change.remove]
  if (all.length === 0) throw raise("MissingParameter", { name: "Add or Remove" })
  for (const { UserId, Group, ...others } of all) {
    if (Object.values(others).some((value) => value !== undefined && value !== ""))
      throw raise("UnsupportedOperation", { operation: "sharing with organizations" })
    if (Group !== undefined && Group !== "all")
      throw raise("InvalidAMIAttributeItemValue", { value: Group.slice(0, 100), item: "userGroup" })
    if (UserId !== undefined && !/^\d{12}$/.test(UserId))
      throw raise("InvalidAMIAttributeItemValue", { value: UserId.slice(0, 100), item: "userId" })
    if ((UserId === undefined) === (Group === undefined))
      throw raise("InvalidParameterCombination", { detail: "A permission names a UserId or a Group" })
  }
  return change
}

export const addsAll = ({ add }: Change) => add.some(({ Group }) => Group === "all")

export function changed(now: Permissions, { add, remove }: Change): Permissions {
  const gone = new Set(remove.flatMap(({ UserId }) => UserId ?? []))
  const users = [...new Set([...now.users, ...add.flatMap(({ UserId }) => UserId ?? [])])].filter((id) => !gone.has(id))
  if (users.length > most)
    throw raise("ResourceLimitExceeded", { detail: `At most ${most} accounts can have permission on one resource` })
  const noMore = remove.some(({ Group }) => Group === "all")
  return { users, public: (now.public || add.some(({ Group }) => Group === "all")) && !noMore }
}

/** The group first, as EC2 shows it. */
export const toPermissions = (now: Permissions): { Group?: "all"; UserId?: string }[] => [
  ...(now.public ? [{ Group: "all" as const }] : []),
  ...now.users.map((UserId) => ({ UserId })),
]

export const permissionsOf = ({ record }: Resource<ImageRecord>): Permissions => ({
  users: record.users ?? [],
  public: record.public,
})
