/**
 * The facts of all instance types, as DescribeInstanceTypes of us-east-1 answered: `instance-types.jsonl`, one type a line, sorted by
 * name. A line is read and parsed when somebody asks for it; what stays in memory is where each line stands.
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { _InstanceType, InstanceTypeInfo } from "@aws-sdk/client-ec2"

const path = fileURLToPath(new URL("instance-types.jsonl", import.meta.url))

interface Place {
  readonly start: number
  readonly length: number
}

let index: ReadonlyMap<string, Place> | undefined

function places(): ReadonlyMap<string, Place> {
  index ??= readIndex(readFileSync(path))
  return index
}

function readIndex(file: Buffer): ReadonlyMap<string, Place> {
  const mark = '"InstanceType":"'
  const found = new Map<string, Place>()
  for (let start = 0; start < file.length;) {
    const newline = file.indexOf(10, start)
    const end = newline < 0 ? file.length : newline
    const name = file.indexOf(mark, start) + mark.length
    if (name < mark.length || name > end) throw new Error(`instance-types.jsonl: no InstanceType at byte ${start}`)
    found.set(file.toString("latin1", name, file.indexOf('"', name)), { start, length: end - start })
    start = end + 1
  }
  return found
}

/** Names of all instance types, sorted. */
export function instanceTypeNames(): readonly _InstanceType[] {
  return [...places().keys()].filter(isInstanceType)
}

/** True for the name of an instance type that exists. */
export function isInstanceType(name: string): name is _InstanceType {
  return places().has(name)
}

/** Facts of one instance type, or undefined if there is none of this name. Reads one line of a file: tens of microseconds. */
export function findInstanceType(name: string): InstanceTypeInfo | undefined {
  return readInstanceTypes([name])[0]
}

/** Facts of the types of these names, in their order; names that do not exist are left out. */
export function readInstanceTypes(names: readonly string[]): readonly InstanceTypeInfo[] {
  const wanted = names.map((name) => places().get(name)).filter((place) => place !== undefined)
  if (wanted.length === 0) return []
  const file = openSync(path, "r")
  try {
    return wanted.map(({ start, length }) => {
      const line = Buffer.allocUnsafe(length)
      if (readSync(file, line, 0, length, start) !== length) throw new Error("instance-types.jsonl was cut short")
      // The file holds what the SDK's own shape says.
      const type: InstanceTypeInfo = JSON.parse(line.toString("utf8"))
      return type
    })
  } finally {
    closeSync(file)
  }
}
