/** Managed prefix lists as they are stored: the current entries in the list, those of each version beside it. */
import { defineKind, type Resource, type Tagged } from "#cloud/resources/kind.ts"

export interface Entry {
  /** In the form in which EC2 shows it: "10.1.0.0/16". */
  readonly cidr: string
  readonly description?: string
}

export interface PrefixListRecord extends Tagged {
  readonly name: string
  readonly family: "IPv4" | "IPv6"
  /** What it counts in the quotas of whatever refers to it. */
  readonly maxEntries: number
  /** From 1; each change of the entries is one more. */
  readonly version: number
  readonly entries: readonly Entry[]
  readonly state: "create-complete" | "modify-complete" | "modify-failed" | "restore-complete"
  readonly stateMessage?: string
}

export type PrefixLists = ReadonlyMap<string, Resource<PrefixListRecord>>

export const prefixListKind = defineKind<PrefixListRecord>({
  name: "prefix-list",
  prefix: "pl",
  schema: 1,
  notFound: ["InvalidPrefixListID.NotFound", "The prefix list ID '{id}' does not exist"],
  malformed: ["InvalidPrefixListId.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record }) => ({
    "owner-id": account,
    "prefix-list-id": id,
    "prefix-list-name": record.name,
  }),
})

export interface VersionRecord extends Tagged {
  readonly entries: readonly Entry[]
}

/** Never changed. Its id follows from the list's; it goes when the list goes. */
export const versionKind = defineKind<VersionRecord>({
  name: "prefix-list-version",
  prefix: "pl-version",
  schema: 1,
  notFound: ["InvalidParameterValue", "The prefix list version '{id}' does not exist"],
  malformed: ["InvalidParameterValue", "The prefix list version '{id}' does not exist"],
  facets: () => ({}),
})

export const versionId = (list: string, version: number) => `pl-version:${list}:${version}`
