/* oxlint-disable typescript/no-unsafe-type-assertion -- SQL has no types: the one place where rows get theirs. */
import type { DatabaseSync, SQLInputValue } from "node:sqlite"

type Values = readonly SQLInputValue[]

export interface Statement<Row> {
  readonly all: (...values: Values) => Row[]
  readonly get: (...values: Values) => Row | undefined
}

/** A prepared statement whose rows are objects of the selected columns. */
export function rows<Row>(db: DatabaseSync, sql: string): Statement<Row> {
  const statement = db.prepare(sql)
  return {
    all: (...values) => statement.all(...values) as Row[],
    get: (...values) => statement.get(...values) as Row | undefined,
  }
}

/** A prepared statement whose rows are tuples: quicker than objects. */
export function tuples<Row extends readonly unknown[]>(db: DatabaseSync, sql: string): Statement<Row> {
  const statement = db.prepare(sql)
  statement.setReturnArrays(true)
  return {
    all: (...values) => statement.all(...values) as unknown as Row[],
    get: (...values) => statement.get(...values) as unknown as Row | undefined,
  }
}

/** A prepared statement that gives one column of numbers. */
export function numbers(db: DatabaseSync, sql: string): (...values: Values) => number[] {
  const statement = tuples<[number]>(db, sql)
  return (...values) => statement.all(...values).map(([value]) => value)
}
