/** What a benchmark says: promises with numbers, on a machine that is named. */
import { readFileSync } from "node:fs"
import { cpus, release, totalmem } from "node:os"

export interface Result {
  /** The promise in words, as SPECIFICATION.md shows it; also its name there. */
  readonly promise: string
  readonly value: number
  readonly unit: string
  /** The most that `value` may be; null where nothing is promised. */
  readonly limit: number | null
  readonly ok: boolean
  /** How many times it was measured. */
  readonly pairs: number
  readonly median: number
  readonly p95: number
  /** Distance between the first and the third quartile of the measurements. */
  readonly spread: number
  /** What else was seen on the way, with the unit at the end of each name. */
  readonly detail?: Readonly<Record<string, number>>
}

export interface Report {
  readonly name: string
  /** Day of the run, "2026-01-02". */
  readonly day: string
  readonly machine: Machine
  readonly results: readonly Result[]
}

export interface Machine {
  readonly cpu: string
  readonly cpus: number
  readonly memoryMiB: number
  readonly kernel: string
  readonly node: string
  /** Load average of the last minute before and after the run: what else the machine was doing. */
  readonly loadBefore: number
  readonly loadAfter: number
}

export function loadAverage(): number {
  return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0])
}

/** This machine; names no host. */
export function machineFacts(loadBefore: number): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.version,
    loadBefore,
    loadAfter: loadAverage(),
  }
}

/** A result whose value is the median of the measurements. */
export function result(
  promise: string,
  unit: string,
  limit: number | null,
  measured: readonly number[],
  detail?: Readonly<Record<string, number>>,
): Result {
  const median = quantile(measured, 0.5)
  return {
    promise,
    value: rounded(median),
    unit,
    limit,
    ok: limit === null || median <= limit,
    pairs: measured.length,
    median: rounded(median),
    p95: rounded(quantile(measured, 0.95)),
    spread: rounded(quantile(measured, 0.75) - quantile(measured, 0.25)),
    ...(detail === undefined
      ? {}
      : { detail: Object.fromEntries(Object.entries(detail).map(([name, value]) => [name, rounded(value)])) }),
  }
}

/** The value below which this part of the values lies, between two values by their distance. Throws for no values. */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new RangeError("nothing was measured")
  const sorted = values.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * part
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

/** Three figures are more than a benchmark can know. */
function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

/** One line of a report for people. */
export function line({ promise, value, unit, limit, ok, pairs, p95, spread, detail }: Result): string {
  const bound = limit === null ? "" : ` (at most ${limit}: ${ok ? "kept" : "NOT KEPT"})`
  const more = Object.entries(detail ?? {}).map(([name, each]) => `${name} ${each}`)
  return [`${promise}: ${value} ${unit}${bound}`, `p95 ${p95}, spread ${spread}, ${pairs} times`, ...more].join("; ")
}
