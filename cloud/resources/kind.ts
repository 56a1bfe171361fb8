/** A kind of resource: how it is named, stored, searched and missed. */
import { randomBytes } from "node:crypto"
import { Fault } from "#lib/fault.ts"
import type { Json, PutResource, Stored } from "#store/types.ts"

export interface Tag {
  readonly key: string
  readonly value: string
}

/** What every record has. Records are ours and plain JSON, never an SDK shape. */
export interface Tagged {
  readonly tags: readonly Tag[]
}

/** Search criteria of one resource: facet name -> its values. Undefined and empty values are left out. */
export type Facets = Readonly<Record<string, string | readonly (string | undefined)[] | boolean | number | undefined>>

export interface Kind<R extends Tagged> {
  /** Name in the store and in references: "instance". Also the ResourceType of its tags. */
  readonly name: string
  /** Id prefix: "i" gives "i-0123456789abcdef0". */
  readonly prefix: string
  /** Version of the record's format; raise it with an upgrade in `daemon/upgrades.ts`. */
  readonly schema: number
  /** Error code of an id that does not exist ("InvalidInstanceID.NotFound") and its message with {id}. */
  readonly notFound: readonly [code: string, message: string]
  /** Error code of an id that is not one ("InvalidInstanceID.Malformed") and its message with {id}. */
  readonly malformed: readonly [code: string, message: string]
  /** Values for every documented filter that is answered by the store. Tags are added by themselves. */
  facets(resource: Resource<R>): Facets
  /** Parts of the record that carry ids and tags of their own (the rules of a group). */
  parts?(record: R): readonly { readonly id: string; readonly kind: string; readonly tags: readonly Tag[] }[]
}

/** A resource as handlers see it. */
export interface Resource<R extends Tagged = Tagged> {
  readonly id: string
  readonly kind: string
  readonly account: string
  readonly region: string
  /** 0 while it is not yet stored. */
  readonly version: number
  readonly sequence: number
  readonly record: R
}

export function defineKind<R extends Tagged>(kind: Kind<R>): Kind<R> {
  return Object.freeze(kind)
}

/** An id as AWS makes them: prefix, dash, 17 hexadecimal digits. */
export function newId(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString("hex").slice(0, 17)}`
}

/** True for both lengths that AWS has given out: 8 and 17 digits. */
export function isId(prefix: string, id: string): boolean {
  return id.startsWith(`${prefix}-`) && /^[0-9a-f]{8}([0-9a-f]{9})?$/.test(id.slice(prefix.length + 1))
}

export function notFound(kind: Pick<Kind<Tagged>, "notFound">, id: string): Fault {
  return new Fault(kind.notFound[0], kind.notFound[1].replaceAll("{id}", id))
}

/** Throws the kind's error for an id that cannot be one. */
export function requireId(kind: Pick<Kind<Tagged>, "prefix" | "malformed">, id: string): void {
  if (!isId(kind.prefix, id)) throw new Fault(kind.malformed[0], kind.malformed[1].replaceAll("{id}", id))
}

export function fromStored<R extends Tagged>(stored: Stored): Resource<R> {
  // The store gives back what a handler of this kind put; its format is checked by `schema` and the upgrades.
  return stored as unknown as Resource<R>
}

export function toPut<R extends Tagged>(kind: Kind<R>, resource: Resource<R>): PutResource {
  return {
    id: resource.id,
    kind: kind.name,
    account: resource.account,
    region: resource.region,
    schema: kind.schema,
    record: resource.record as unknown as Json,
    facets: facetsOf(kind.facets(resource), resource.record.tags),
  }
}

function facetsOf(facets: Facets, tags: readonly Tag[]): Record<string, string[]> {
  const out: Record<string, string[]> = {}
  for (const [name, value] of Object.entries(facets)) {
    const values = (Array.isArray(value) ? value : [value]).filter((v) => v !== undefined && v !== "").map(String)
    if (values.length > 0) out[name] = [...new Set(values)]
  }
  for (const tag of tags) out[`tag:${tag.key}`] = [tag.value]
  if (tags.length > 0) out["tag-key"] = tags.map((tag) => tag.key)
  return out
}
