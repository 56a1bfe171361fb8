/** Rules compiled to checks of values, and what services say of a value that breaks one. */
import type { Rule } from "./rules.ts"

export interface Violation {
  /** Where below the value: ".2.member" for an element of a list, "" for the value itself. */
  readonly below: string
  readonly value: unknown
  readonly rule: Rule
  /** Which of the rule's bounds it breaks. */
  readonly breaks: "among" | "least" | "most" | "short" | "long" | "pattern"
}

/** The first violation of a value that is of the shape's type; undefined for none. */
export type Check = (value: unknown) => Violation | undefined

/** Of a whole text. What a model escapes without need, "\\@", is taken as it stands. Throws SyntaxError for what is no pattern here. */
export const toRegExp = (pattern: string): RegExp =>
  new RegExp(`^(?:${pattern.replaceAll(/\\(?:\\|([@_]))/g, (all, plain?: string) => plain ?? all)})$`, "u")

export function compileCheck(rule: Rule): Check {
  const among = rule.among && new Set(rule.among)
  const pattern = rule.pattern === undefined ? undefined : toRegExp(rule.pattern)
  const [least, most] = rule.range ?? [null, null]
  const [shortest, longest] = rule.length ?? [0, null]
  const each = rule.each && compileCheck(rule.each)
  const breaks = (value: unknown): Violation["breaks"] | undefined => {
    if (typeof value === "number") {
      if (least !== null && value < least) return "least"
      return most !== null && value > most ? "most" : undefined
    }
    const length = lengthOf(value)
    if (length < shortest) return "short"
    // A long text is not looked at further: no pattern runs over more than its length allows.
    if (longest !== null && length > longest) return "long"
    if (typeof value !== "string") return undefined
    if (among && !among.has(value)) return "among"
    return pattern && !pattern.test(value) ? "pattern" : undefined
  }
  return (value) => {
    const broken = breaks(value)
    if (broken !== undefined) return { below: "", value, rule, breaks: broken }
    if (!each || !Array.isArray(value)) return undefined
    for (const [index, item] of value.entries()) {
      const found = each(item)
      if (found) return { ...found, below: `.${index + 1}.member${found.below}` }
    }
    return undefined
  }
}

/** The check of a member, where it has a rule. */
export const checkOf = (rule: Rule | undefined): Check | undefined => rule && compileCheck(rule)

function lengthOf(value: unknown): number {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length
  if (Array.isArray(value)) return value.length
  return typeof value === "object" && value !== null && !(value instanceof Date) ? Object.keys(value).length : Infinity
}

/** As AWS's frameworks word it: "Member must have length greater than or equal to 1". */
export function memberMust({ rule, breaks }: Violation): string {
  switch (breaks) {
    case "among":
      return `Member must satisfy enum value set: [${rule.among?.join(", ")}]`
    case "least":
      return `Member must have value greater than or equal to ${rule.range?.[0]}`
    case "most":
      return `Member must have value less than or equal to ${rule.range?.[1]}`
    case "short":
      return `Member must have length greater than or equal to ${rule.length?.[0]}`
    case "long":
      return `Member must have length less than or equal to ${rule.length?.[1]}`
    default:
      return `Member must satisfy regular expression pattern: ${rule.pattern}`
  }
}

/** As EC2 words it, after "Value (x) for parameter y is invalid. ". */
export function expecting({ rule, breaks }: Violation): string {
  switch (breaks) {
    case "among":
      return `Expected: ${rule.among?.join(", ")}.`
    case "least":
      return `Expecting a value greater than or equal to ${rule.range?.[0]}.`
    case "most":
      return `Expecting a value less than or equal to ${rule.range?.[1]}.`
    case "short":
      return `Expecting a length of at least ${rule.length?.[0]}.`
    case "long":
      return `Expecting a length of at most ${rule.length?.[1]}.`
    default:
      return `Expected pattern: ${rule.pattern}.`
  }
}
