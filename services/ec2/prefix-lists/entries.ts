/** Names and entries of prefix lists as requests give them. Limits: "Amazon VPC quotas", "Work with customer-managed prefix lists". */
import { raise } from "../errors.ts"
import { readCidr, readCidr6 } from "../security-groups/cidr.ts"
import type { Entry, PrefixListRecord } from "./record.ts"

const maxNameLength = 255
const mostEntries = 1000
/** Entries that one request adds or removes. */
const maxChanges = 100

export type Family = PrefixListRecord["family"]

export function readName(name: string | undefined): string {
  if (name === undefined || name === "") throw raise("MissingParameter", { name: "PrefixListName" })
  if (name.length > maxNameLength || /\p{C}/u.test(name))
    throw invalid(
      `Value (${name.slice(0, maxNameLength)}) for parameter PrefixListName is invalid. A name has at most ${maxNameLength} characters.`,
    )
  if (name.startsWith("com.amazonaws")) throw invalid("A prefix list name cannot start with 'com.amazonaws'.")
  return name
}

export function readFamily(family: string | undefined): Family {
  if (family === undefined) throw raise("MissingParameter", { name: "AddressFamily" })
  if (family === "IPv4" || family === "IPv6") return family
  throw invalid(`Value (${family}) for parameter AddressFamily is invalid. Expected: IPv4, IPv6.`)
}

export function readMaxEntries(count: number | undefined): number {
  if (count === undefined) throw raise("MissingParameter", { name: "MaxEntries" })
  if (Number.isInteger(count) && count >= 1 && count <= mostEntries) return count
  throw invalid(`Value (${count}) for parameter MaxEntries is invalid. Expected: 1 to ${mostEntries}.`)
}

interface Given {
  readonly Cidr?: string | undefined
  readonly Description?: string | undefined
}

/** Each once. Throws InvalidParameterValue. */
export function readEntries(family: Family, given: readonly Given[]): readonly Entry[] {
  if (given.length > maxChanges) throw invalid(`At most ${maxChanges} entries can be named in one request.`)
  const entries = given.map(({ Cidr, Description = "" }): Entry => {
    if (Cidr === undefined) throw raise("MissingParameter", { name: "Cidr" })
    if (Cidr.includes(":") !== (family === "IPv6")) throw invalid(`The CIDR ${Cidr} is not of the family ${family}.`)
    if (Description.length > 255) throw invalid("The description of an entry has at most 255 characters.")
    const cidr = family === "IPv4" ? readCidr(Cidr) : readCidr6(Cidr)
    return { cidr, ...(Description === "" ? {} : { description: Description }) }
  })
  const seen = new Set<string>()
  for (const { cidr } of entries) {
    if (seen.has(cidr)) throw invalid(`The CIDR ${cidr} is given more than once.`)
    seen.add(cidr)
  }
  return entries
}

/**
 * What is there without `removed` and with `added`. InvalidParameterValue for what is both, InvalidPrefixListModification for what is not there or
 * there already, PrefixListMaxEntriesExceeded.
 */
export function changedEntries(
  { entries, maxEntries }: PrefixListRecord,
  removed: readonly Entry[],
  added: readonly Entry[],
): readonly Entry[] {
  const both = added.find((entry) => removed.some(({ cidr }) => cidr === entry.cidr))
  if (both !== undefined)
    throw invalid(`Request cannot contain Cidr ${both.cidr} in both AddPrefixListEntries and RemovePrefixListEntries`)
  const all = new Map(entries.map((entry) => [entry.cidr, entry]))
  for (const { cidr } of removed)
    if (!all.delete(cidr)) throw raise("InvalidPrefixListModification", { cidr, how: "does not exist" })
  for (const entry of added) {
    if (all.has(entry.cidr)) throw raise("InvalidPrefixListModification", { cidr: entry.cidr, how: "already exists" })
    all.set(entry.cidr, entry)
  }
  requireFit(all.size, maxEntries)
  return [...all.values()]
}

export function requireFit(entries: number, maxEntries: number): void {
  if (entries > maxEntries) throw raise("PrefixListMaxEntriesExceeded")
}

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
