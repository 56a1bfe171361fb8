/** The rules of the models: of structures that exist, fast on any text, and said in each service's words. */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { Fault } from "#lib/fault.ts"
import { compileRpc } from "../../protocols/document.ts"
import { parseForm } from "../../protocols/form.ts"
import { defaultLimits } from "../../protocols/limits.ts"
import { compileOperation } from "../../protocols/query.ts"
import { loadSchemas, type SchemaSource } from "../load.ts"
import { operationShapes, type Shape } from "../shape.ts"
import { compileCheck } from "./check.ts"
import type { Rule } from "./rules.ts"

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".tsv"))
const sources: Readonly<Record<string, SchemaSource>> = {
  ec2instanceconnect: "ec2-instance-connect",
  resourcegroupstaggingapi: "tagging",
}

/** "Structure.Member" of everything that a shape holds. */
function namesIn(shape: Shape, names = new Set<string>(), seen = new Set<object>()): ReadonlySet<string> {
  if (shape.kind === "list") return namesIn(shape.element(), names, seen)
  if (shape.kind === "map") return namesIn(shape.value(), names, seen)
  if (shape.kind !== "struct" || seen.has(shape.identity)) return names
  seen.add(shape.identity)
  for (const member of shape.members()) {
    names.add(`${shape.name}.${member.name}`)
    namesIn(member.shape, names, seen)
  }
  return names
}

for (const file of files)
  test(`${file} is about members that the SDK has, and its patterns end soon`, async () => {
    const service = file.replace(".tsv", "")
    const schemas = await loadSchemas(sources[service] ?? (service as SchemaSource))
    const known = new Set<string>()
    for (const schema of Object.values(schemas))
      for (const name of namesIn(operationShapes(schema).input)) known.add(name)
    const lines = readFileSync(new URL(file, import.meta.url), "utf8")
      .trimEnd()
      .split("\n")
    let members = 0
    let there = 0
    for (const line of lines) {
      const [structure = "", json = "{}"] = line.split("\t")
      for (const [member, rule] of Object.entries(JSON.parse(json) as Record<string, Rule>)) {
        members++
        if (known.has(`${structure}.${member}`)) there++
        const check = compileCheck(rule.each ?? rule)
        const longest = Math.min((rule.each ?? rule).length?.[1] ?? 100_000, 100_000)
        const startMs = performance.now()
        for (const letter of ["a", "0", "-", "/", " ", "a/", "aa.", "arn:"])
          check(`${letter.repeat(longest).slice(0, longest - 1)}!`)
        assert.ok(performance.now() - startMs < 5000, `${structure}.${member}: ${rule.pattern}`)
      }
    }
    // The SDK and botocore come from the same models, at different times.
    assert.ok(there > members * 0.95, `${there} of ${members} members are the SDK's`)
  })

const said = (read: () => unknown): string => {
  try {
    read()
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`
    throw error
  }
  return "taken"
}

async function ofQuery(service: "ec2" | "sts", operation: string, form: string): Promise<string> {
  const schemas = await loadSchemas(service)
  const dialect = { protocol: service === "ec2" ? "ec2Query" : "awsQuery", xmlNamespace: "" } as const
  const compiled = compileOperation(operation, schemas[operation], dialect)
  return said(() => compiled.read(parseForm([form], defaultLimits)))
}

async function ofJson(service: SchemaSource, operation: string, document: object): Promise<string> {
  const schemas = await loadSchemas(service)
  const compiled = compileRpc(schemas[operation], "awsJson1_1")
  const body = Buffer.from(JSON.stringify(document))
  return said(() => compiled.read({ signed: {} as never, labels: {}, query: [], body }))
}

const one = (what: string, must: string) => `1 validation error detected: ${what} failed to satisfy constraint: ${must}`

test("EC2 names the parameter and what it expects", async () => {
  const launch = "ImageId=ami-1&MinCount=1&MaxCount=1"
  assert.equal(
    await ofQuery("ec2", "RunInstances", `${launch}&InstanceInitiatedShutdownBehavior=explode`),
    "InvalidParameterValue: Value (explode) for parameter InstanceInitiatedShutdownBehavior is invalid. Expected: stop, terminate.",
  )
  assert.match(await ofQuery("ec2", "RunInstances", "MinCount=1"), /^MissingParameter: /)
  assert.equal(await ofQuery("ec2", "RunInstances", `${launch}&InstanceInitiatedShutdownBehavior=stop`), "taken")
  assert.match(
    await ofQuery("ec2", "ModifyInstanceMetadataOptions", "InstanceId=i-1&HttpTokens=maybe"),
    /^InvalidParameterValue: Value \(maybe\) for parameter HttpTokens is invalid\. Expected: optional, required\.$/,
  )
})

test("a fraction is no integer", async () => {
  assert.match(await ofJson("ssm", "DescribeParameters", { MaxResults: 1.5 }), /^SerializationException: /)
  assert.equal(await ofJson("ssm", "DescribeParameters", { MaxResults: 2 }), "taken")
})

test("query and JSON services say all that is wrong at once", async () => {
  assert.equal(
    await ofQuery("sts", "AssumeRole", "RoleArn=short&DurationSeconds=1"),
    "ValidationError: 3 validation errors detected: Value 'short' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20; " +
      "Value '1' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900; " +
      "Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null",
  )
  const names = Array.from({ length: 11 }, (_, index) => `n${index}`)
  assert.equal(
    await ofJson("ssm", "GetParameters", { Names: names }),
    `ValidationException: ${one(`Value '[${names.join(", ")}]' at 'names'`, "Member must have length less than or equal to 10")}`,
  )
  assert.equal(
    await ofJson("ssm", "GetParametersByPath", { Path: "/a", ParameterFilters: [{ Key: "Luck" }] }),
    `ValidationException: ${one("Value 'Luck' at 'parameterFilters.1.member.key'", "Member must satisfy regular expression pattern: tag:.+|Name|Type|KeyId|Path|Label|Tier|DataType")}`,
  )
  assert.equal(
    await ofJson("tagging", "GetTagValues", {}),
    `InvalidParameterException: ${one("Value null at 'key'", "Member must not be null")}`,
  )
  assert.match(
    await ofJson("servicequotas", "ListServices", { MaxResults: 101 }),
    /^IllegalArgumentException: .*'101' at 'maxResults' .* less than or equal to 100$/,
  )
  assert.equal(
    await ofJson("ec2-instance-connect", "SendSSHPublicKey", {
      InstanceId: "mi-048afb7f6460a110d",
      InstanceOSUser: "0day@host",
      SSHPublicKey: "a".repeat(80),
    }),
    `InvalidArgsException: ${one("Value 'mi-048afb7f6460a110d' at 'instanceId'", "Member must satisfy regular expression pattern: ^i-[a-f0-9]+$")}`,
  )
})
