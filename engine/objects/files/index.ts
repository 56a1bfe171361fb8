/** Which objects there are, and of which blobs: SQLite beside the files. A blob's row is there before its file and goes after it. */
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import {
  type Blob,
  BlobGoneError,
  type ListQuery,
  type Meta,
  type Page,
  type StoredObject,
  type Wish,
} from "../types.ts"

const layout = `
pragma journal_mode = wal;
pragma synchronous = full;
pragma cache_size = -2048;
create table if not exists blob (id text primary key, refs integer not null) strict, without rowid;
create table if not exists object (
  space text not null, name text not null, size_bytes integer not null, modified_ms real not null, meta text not null, blobs text not null,
  primary key (space, name)
) strict, without rowid;
`

interface Row {
  readonly name: string
  readonly size_bytes: number
  readonly modified_ms: number
  readonly meta: string
  readonly blobs: string
}

export type ObjectIndex = ReturnType<typeof openIndex>

const longestMeta = 65_536
const deletesAtOnce = 1000

export function openIndex(path: string) {
  const db = new DatabaseSync(path, { timeout: 5000 })
  db.exec(layout)
  const one = db.prepare("select * from object where space = ? and name = ?")
  const upsert = db.prepare(
    "insert or replace into object (space, name, size_bytes, modified_ms, meta, blobs) values (?, ?, ?, ?, ?, ?)",
  )
  const drop = db.prepare("delete from object where space = ? and name = ?")
  const addBlob = db.prepare("insert into blob (id, refs) values (?, 0)")
  const refer = db.prepare("update blob set refs = refs + ? where id = ? and refs >= 0")
  // From then on nobody can refer to it again, while its file goes.
  const doom = db.prepare("update blob set refs = -1 where id = ? and refs = 0")
  const forget = db.prepare("delete from blob where id = ?")
  const after = db.prepare("select * from object where space = ? and name > ? order by name limit ?")
  const from = db.prepare("select * from object where space = ? and name >= ? order by name limit ?")
  const below = db.prepare("select space, name, blobs from object where space = ? or (space > ? and space < ?) limit ?")

  const rowOf = (space: string, name: string): StoredObject | undefined => {
    const row = one.get(space, name) as unknown as Row | undefined
    return row && toObject(space, row)
  }
  /** All or nothing. */
  const transaction = <T>(work: () => T): T => {
    db.exec("begin immediate")
    try {
      const result = work()
      db.exec("commit")
      return result
    } catch (error) {
      if (db.isTransaction) db.exec("rollback")
      throw error
    }
  }
  /** Throws BlobGoneError for bytes that went meanwhile. */
  const hold = (blobs: readonly Blob[]): void => {
    for (const { id } of blobs) if (refer.run(1, id).changes !== 1) throw new BlobGoneError(id)
  }
  /** Gives the blobs that nobody refers to any more. */
  const letGo = (blobs: readonly Blob[]): readonly string[] => {
    for (const { id } of blobs) refer.run(-1, id)
    return blobs.flatMap(({ id }) => (doom.run(id).changes === 1 ? [id] : []))
  }
  const take = (space: string, name: string): readonly string[] => {
    const old = rowOf(space, name)
    if (!old) return []
    drop.run(space, name)
    return letGo(old.blobs)
  }

  return {
    addBlob: (id: string) => void addBlob.run(id),
    forgetBlobs: (ids: readonly string[]) => transaction(() => ids.forEach((id) => forget.run(id))),
    /** Blobs that no object refers to: of writes that a crash ended. */
    orphans: () =>
      (db.prepare("select id from blob where refs <= 0").all() as unknown as { id: string }[]).map(({ id }) => id),
    get: rowOf,
    /** Gives the object and the blobs that nobody refers to any more. Throws RangeError for too much meta, and what the guard throws. */
    put({ space, name, blobs, meta, atMs, guard, removing = [] }: Wish): {
      object: StoredObject
      gone: readonly string[]
    } {
      const text = JSON.stringify(meta)
      if (text.length > longestMeta) throw new RangeError("too much is said of an object")
      const sizeBytes = blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0)
      return transaction(() => {
        guard?.(rowOf(space, name))
        hold(blobs)
        const gone = [take(space, name), ...removing.map((each) => take(each.space, each.name))].flat()
        upsert.run(space, name, sizeBytes, atMs, text, JSON.stringify(blobs))
        return { object: { space, name, sizeBytes, modifiedMs: atMs, meta, blobs }, gone }
      })
    },
    remove: (space: string, names: readonly string[]) => transaction(() => names.flatMap((name) => take(space, name))),
    list: (query: ListQuery): Page =>
      list(query, (statement, ...values) => (statement === "after" ? after : from).all(...values) as unknown as Row[]),
    /** Some of a space and of those below it: the blobs that are gone; undefined when there was nothing left. */
    removeSome(space: string): readonly string[] | undefined {
      const some = below.all(space, `${space}/`, `${space}0`, deletesAtOnce) as unknown as {
        space: string
        name: string
      }[]
      if (some.length === 0) return undefined
      return transaction(() => some.flatMap((each) => take(each.space, each.name)))
    },
    clear(): void {
      db.exec("delete from object; update blob set refs = 0")
    },
    close: () => db.close(),
  }
}

function toObject(space: string, row: Row): StoredObject {
  const meta: Meta = JSON.parse(row.meta)
  const blobs: readonly Blob[] = JSON.parse(row.blobs)
  return { space, name: row.name, sizeBytes: row.size_bytes, modifiedMs: row.modified_ms, meta, blobs }
}

type Ask = (statement: "after" | "from", ...values: readonly SQLInputValue[]) => Row[]
const rowsAtOnce = 500

/** A page in the order of names as UTF-8 bytes. Names behind one prefix are skipped, not read. */
export function list({ space, prefix, after, delimiter, limit }: ListQuery, ask: Ask): Page {
  const objects: StoredObject[] = []
  const prefixes: string[] = []
  // What a page ended with may be a prefix: then all names within it come after it, and are over.
  const isPrefix =
    delimiter !== "" && after.startsWith(prefix) && after.endsWith(delimiter) && after.length > prefix.length
  let next: readonly ["after" | "from", string] = isPrefix
    ? ["from", past(after)]
    : after >= prefix
      ? ["after", after]
      : ["from", prefix]
  let last = after
  for (;;) {
    const rows = ask(next[0], space, next[1], Math.min(rowsAtOnce, limit + 1))
    let jumped = false
    for (const row of rows) {
      if (!row.name.startsWith(prefix)) return { objects, prefixes }
      if (objects.length + prefixes.length >= limit) return { objects, prefixes, ...(limit > 0 ? { next: last } : {}) }
      const end = delimiter === "" ? -1 : row.name.indexOf(delimiter, prefix.length)
      if (end < 0) {
        objects.push(toObject(space, row))
        last = row.name
        next = ["after", row.name]
        continue
      }
      last = row.name.slice(0, end + delimiter.length)
      prefixes.push(last)
      next = ["from", past(last)]
      jumped = true
      break
    }
    if (!jumped && rows.length < Math.min(rowsAtOnce, limit + 1)) return { objects, prefixes }
  }
}

/** The first text that comes after all that begin so, in the order of UTF-8. */
function past(start: string): string {
  const points = Array.from(start, (letter) => letter.codePointAt(0) ?? 0)
  while (points.length > 0) {
    const point = (points.pop() ?? 0) + 1
    if (point > 0x10ffff) continue
    // Surrogates are no characters.
    return String.fromCodePoint(...points, point === 0xd800 ? 0xe000 : point)
  }
  return start
}
