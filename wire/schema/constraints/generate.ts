/**
 * `node wire/schema/constraints/generate.ts FOLDER` writes the files of this folder anew from botocore's models: FOLDER is its "data"
 * (`python3 -c "import botocore; print(botocore.__path__[0] + '/data')"`). The SDK's schemas lose what values may be; these have it.
 * A line is the name of a structure that requests hold, a tab, and the rules of its members as JSON (rules.ts).
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { toRegExp } from "./check.ts"
import type { Rule } from "./rules.ts"

/** By the last part of the SDK's namespace, which is what the files are called: botocore's folder. */
const models: Readonly<Record<string, string>> = {
  account: "account",
  cloudtrail: "cloudtrail",
  ec2: "ec2",
  ec2instanceconnect: "ec2-instance-connect",
  resourcegroupstaggingapi: "resourcegroupstaggingapi",
  s3: "s3",
  servicequotas: "service-quotas",
  ssm: "ssm",
  sts: "sts",
}

/** What services refuse in words or with codes of their own, which their handlers know: by shape, and by "Structure.Member". */
const left: ReadonlySet<string> = new Set([
  // InvalidInstanceType and the like, after a catalogue of our own.
  "InstanceType",
  // InvalidLaunchTemplateName.MalformedException.
  "LaunchTemplateName",
  // "is not a valid taggable resource type", UnsupportedOperation.
  "TagSpecification.ResourceType",
  "LaunchTemplateTagSpecificationRequest.ResourceType",
  // A filter's value: an attribute that is not there is refused as EC2 says it.
  "DescribeAccountAttributesRequest.AttributeNames",
  "DescribeVpcAttributeRequest.Attribute",
  // Counts of a launch and kinds of volumes depend on each other.
  "EbsBlockDevice.VolumeType",
  // InvalidMaxResultsException, InvalidEventCategoryException, InvalidLookupAttributesException.
  "LookupEventsRequest.MaxResults",
  "LookupEventsRequest.EventCategory",
  "LookupAttribute.AttributeKey",
  "LookupAttributesList",
  // InvalidLocationConstraint.
  "BucketLocationConstraint",
])

interface ModelShape {
  readonly type: string
  readonly members?: Readonly<Record<string, { readonly shape: string }>>
  readonly member?: { readonly shape: string }
  readonly key?: { readonly shape: string }
  readonly value?: { readonly shape: string }
  readonly enum?: readonly string[]
  readonly min?: number
  readonly max?: number
  readonly pattern?: string
}

interface Model {
  readonly shapes: Readonly<Record<string, ModelShape>>
  readonly operations: Readonly<Record<string, { readonly input?: { readonly shape: string } }>>
}

function readModel(folder: string, name: string): Model {
  const versions = readdirSync(join(folder, name)).toSorted()
  const path = join(folder, name, versions.at(-1) ?? "", "service-2.json")
  const text = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`))
  return JSON.parse(text.toString("utf8")) as Model
}

/** Groups that repeat and are repeated take forever on some texts: nobody runs such a pattern on what a stranger sends. */
const isTame = (pattern: string) => !/\([^()]*[+*}][^()]*\)[+*{]/.test(pattern)

function ruleOf(model: Model, name: string, service: string): Rule | undefined {
  const shape = model.shapes[name]
  if (shape === undefined || left.has(name)) return undefined
  const { type, min, max, pattern } = shape
  const rule: { -readonly [K in keyof Rule]: Rule[K] } = {}
  if (type === "string" && shape.enum) rule.among = shape.enum
  const isNumber = ["integer", "long", "double", "float"].includes(type)
  // EC2's numbers are texts, whose kinds wire/schema/numbers.ts knows.
  if ((type === "integer" || type === "long") && service !== "ec2") rule.whole = true
  if (isNumber && (min !== undefined || max !== undefined)) rule.range = [min ?? null, max ?? null]
  // A minimum of 0, and one without a maximum of nothing, say nothing.
  else if (!shape.enum && (max !== undefined || (min ?? 0) > 0)) rule.length = [min ?? 0, max ?? null]
  if (pattern !== undefined && type === "string" && isTame(pattern) && compiles(pattern)) rule.pattern = pattern
  if (type === "list" && shape.member) {
    const each = ruleOf(model, shape.member.shape, service)
    if (each) rule.each = each
  }
  // EC2 has a code of its own for many a malformed name, and handlers know which.
  if (service === "ec2" && type === "string") return rule.among ? { among: rule.among } : undefined
  // S3 says in its own words what is too long; and what stands in a list of values there is the handlers' to know.
  if (service === "s3") return rule.among ? { among: rule.among } : undefined
  return Object.keys(rule).length > 0 ? rule : undefined
}

function compiles(pattern: string): boolean {
  try {
    return toRegExp(pattern) instanceof RegExp
  } catch {
    return false
  }
}

function linesOf(model: Model, service: string): readonly string[] {
  const seen = new Set<string>()
  const visit = (name: string | undefined): void => {
    if (name === undefined || seen.has(name)) return
    seen.add(name)
    const { members = {}, member, key, value } = model.shapes[name] ?? { type: "" }
    for (const each of [...Object.values(members), member, key, value]) visit(each?.shape)
  }
  for (const { input } of Object.values(model.operations)) visit(input?.shape)
  return [...seen].toSorted().flatMap((name) => {
    const rules = Object.entries(model.shapes[name]?.members ?? {}).flatMap(([member, { shape }]) => {
      const rule = left.has(`${name}.${member}`) ? undefined : ruleOf(model, shape, service)
      return rule ? [[member, rule] as const] : []
    })
    return rules.length > 0 ? [`${name}\t${JSON.stringify(Object.fromEntries(rules))}`] : []
  })
}

const [folder = ""] = process.argv.slice(2)
for (const [service, name] of Object.entries(models)) {
  const lines = linesOf(readModel(folder, name), service)
  writeFileSync(new URL(`${service}.tsv`, import.meta.url), `${lines.join("\n")}\n`)
}
