/** The objects engine: named sequences of bytes in spaces, in the order of their names. Knows no cloud. Driver: `files/`, `sim/`; suite: `conformance.ts`. */

/** Bytes that are kept. They are nobody's until an object is made of them, and gone with the last one. */
export interface Blob {
  readonly id: string
  readonly sizeBytes: number
  /** 32 hex digits. */
  readonly md5: string
}

/** What is said of an object besides its bytes: plain JSON, of at most 64 K. */
export type Meta = Readonly<Record<string, unknown>>

export interface StoredObject {
  readonly space: string
  /** Up to 1,024 bytes of UTF-8. */
  readonly name: string
  readonly sizeBytes: number
  readonly modifiedMs: number
  readonly meta: Meta
  /** In their order, they are the object. */
  readonly blobs: readonly Blob[]
}

export interface Page {
  readonly objects: readonly StoredObject[]
  /** What names have in common up to the delimiter, each once, in order. */
  readonly prefixes: readonly string[]
  /** Set when there is more: what the next page's `after` is. */
  readonly next?: string
}

export interface ListQuery {
  readonly space: string
  readonly prefix: string
  /** Only names that come after it, and are not among the prefixes that it ends. */
  readonly after: string
  /** Empty for none. */
  readonly delimiter: string
  /** Objects and prefixes together. */
  readonly limit: number
}

export interface Wish {
  readonly space: string
  readonly name: string
  readonly blobs: readonly Blob[]
  readonly meta: Meta
  readonly atMs: number
  /** Sees what stands there now, and throws to leave it so: the check and the change are one. */
  readonly guard?: (now: StoredObject | undefined) => void
  /** Removed by the same change: parts that became a whole. */
  readonly removing?: readonly { readonly space: string; readonly name: string }[]
}

export interface ObjectsEngine {
  readonly name: "files" | "sim"
  /** Keeps all that comes, durably. Rejects with what `source` throws, and TooLargeError; nothing is kept then. */
  write(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Blob>
  /** Lets go of bytes that no object was made of. */
  discard(blobs: readonly Blob[]): Promise<void>
  /** Makes or replaces an object, durably, all at once. Throws what the guard throws, and BlobGoneError. */
  put(wish: Wish): Promise<StoredObject>
  get(space: string, name: string): Promise<StoredObject | undefined>
  /** The bytes from `from` up to, not including, `to`. A reader goes on when the object is removed under it. */
  read(object: StoredObject, from: number, to: number): AsyncIterable<Uint8Array>
  /** Idempotent; durable. */
  remove(space: string, names: readonly string[]): Promise<void>
  list(query: ListQuery): Promise<Page>
  /** Everything in a space and in the spaces below it ("space/..."). */
  removeSpace(space: string): Promise<void>
  reset(): Promise<void>
  close(): Promise<void>
}

export class TooLargeError extends Error {
  override name = "TooLargeError"
}

/** An object was to be made of bytes that went with their last object. */
export class BlobGoneError extends Error {
  override name = "BlobGoneError"
}
