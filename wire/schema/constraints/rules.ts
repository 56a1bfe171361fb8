/** What values may be: the rules of botocore's models that the SDK's schemas do not carry, read when a structure is compiled. */
import { readFileSync } from "node:fs"
import type { Shape } from "../shape.ts"

/** Of one member. Bounds are inclusive, null for none. */
export interface Rule {
  readonly among?: readonly string[]
  /** A number without a fraction. */
  readonly whole?: true
  /** Of a number. */
  readonly range?: readonly [least: number | null, most: number | null]
  /** Characters of a text, elements of a list, entries of a map. */
  readonly length?: readonly [least: number, most: number | null]
  /** Of the whole text. */
  readonly pattern?: string
  /** Of each element of a list. */
  readonly each?: Rule
}

type Struct = Extract<Shape, { kind: "struct" }>

const services: ReadonlySet<string> = new Set(
  "account cloudtrail ec2 ec2instanceconnect resourcegroupstaggingapi s3 servicequotas ssm sts".split(" "),
)
/** By service: structure -> its line's JSON, parsed when it is asked for. */
const files = new Map<string, ReadonlyMap<string, string>>()

/** Member -> rule, for a structure of a service that has a file here. */
export function rulesOf({ namespace, name }: Struct): Readonly<Record<string, Rule>> {
  const service = serviceOf(namespace)
  if (!services.has(service)) return {}
  const known = files.get(service) ?? readLines(service)
  files.set(service, known)
  return JSON.parse(known.get(name) ?? "{}") as Readonly<Record<string, Rule>>
}

/** "com.amazonaws.ec2" -> "ec2". */
const serviceOf = (namespace: string) => namespace.slice(namespace.lastIndexOf(".") + 1)

function readLines(service: string): ReadonlyMap<string, string> {
  const text = readFileSync(new URL(`${service}.tsv`, import.meta.url), "latin1")
  return new Map(
    text.split("\n").map((line) => {
      const tab = line.indexOf("\t")
      return [line.slice(0, tab), line.slice(tab + 1)] as const
    }),
  )
}

/** The code of services that say it otherwise than their protocol's others: their API's reference lists it for what is out of bounds. */
const codes: Readonly<Record<string, string>> = {
  ec2instanceconnect: "InvalidArgsException",
  resourcegroupstaggingapi: "InvalidParameterException",
  servicequotas: "IllegalArgumentException",
}

/** The code of a refusal for a value that breaks a rule, undefined for the protocol's usual one. */
export const ruleCode = (shape: Shape): string | undefined =>
  shape.kind === "struct" ? codes[serviceOf(shape.namespace)] : undefined
