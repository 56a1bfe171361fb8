/** Values of any schema, made from a seed: every member set, lists of one or two, texts that try the escaping. */
import { numberType } from "#wire/schema/numbers.ts"
import { rulesOf } from "#wire/schema/constraints/rules.ts"
import type { Shape } from "#wire/schema/shape.ts"

export interface Random {
  /** An integer from 0 up to, not including, `below`. */
  (below: number): number
}

/** A small linear congruential generator: the same seed gives the same values everywhere. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const texts = ["", " é&<>\"' ", "a+b=c%20&d", "x\ny\tz\r", "日本 😀", "]]>", "&amp;"]
const deepest = 8

/** A value of the shape; undefined for a structure or list below the greatest depth. */
export function valueOf(shape: Shape, random: Random, depth = 0, owner = "", member = ""): unknown {
  switch (shape.kind) {
    case "struct": {
      if (depth > deepest) return undefined
      const all = shape.members()
      const members = shape.isUnion ? all.slice(0, 1) : all
      const rules = rulesOf(shape)
      const entries = members
        .map((each) => {
          const any = valueOf(each.shape, random, depth + 1, shape.name, each.name)
          const among = rules[each.name]?.among
          const made = among ? among[String(any).length % among.length] : any
          const value = made === undefined && each.required && each.shape.kind === "list" ? [] : made
          return [each.name, each.binding && each.binding.in !== "payload" ? bound(value) : value] as const
        })
        .filter(([, value]) => value !== undefined)
      // A structure without members cannot be told from no structure at all in a form.
      return depth > 0 && entries.length === 0 ? undefined : Object.fromEntries(entries)
    }
    case "list": {
      const values = Array.from({ length: 1 + random(2) }, () =>
        valueOf(shape.element(), random, depth + 1, owner, member),
      )
      return values.includes(undefined) ? undefined : values
    }
    case "map":
      return { key: valueOf(shape.value(), random, depth + 1), __other__: valueOf(shape.value(), random, depth + 1) }
    case "string":
      return `s${random(1e6)}${texts[random(texts.length)]}e`
    case "boolean":
      return random(2) === 1
    case "number":
      return numberOf(random, owner, member)
    case "timestamp":
      return new Date(1.6e12 + random(1e8) * (random(2) === 1 ? 1000 : 1))
    case "document":
      return { any: [random(10), "thing"] }
    case "blob":
      return new Uint8Array([0, 255, random(255)])
    default:
      return {}
  }
}

/** What a header, a path or a query can hold: no spaces at the ends, no line feeds, whole seconds, lists without commas. */
function bound(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll(/[^ -~]|[,"]/g, "")
  if (typeof value === "number") return Math.abs(Math.trunc(value))
  if (value instanceof Date) return new Date(Math.trunc(value.getTime() / 1000) * 1000)
  if (Array.isArray(value)) return value.map(bound)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.replaceAll("_", ""), bound(item)]))
}

/** A value of an operation's input or output. */
export function structure(shape: Shape, random: Random): object {
  const value = valueOf(shape, random)
  if (typeof value !== "object" || value === null) throw new TypeError("not a structure")
  return value
}

function numberOf(random: Random, structure: string, member: string): number {
  const type = numberType(structure, member)
  if (type === "Double") return random(1e6) / 64
  return type === "Long" ? random(2 ** 31) * 4096 : random(1e6) - 500
}
