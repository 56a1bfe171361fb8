/** All that a launch template can hold, over the wire: it is given back as it was given, no member lost and no default added. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import type { RequestLaunchTemplateData } from "@aws-sdk/client-ec2"
import { type Rule, rulesOf } from "#wire/schema/constraints/rules.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { operationShapes, type Shape } from "#wire/schema/shape.ts"
import { openTestCloud, type TestCloud } from "./operations/cloud.ts"

let cloud: TestCloud
before(async () => {
  cloud = await openTestCloud()
})
after(() => cloud?.close())

/** Values that are checked where they are read. */
const checked: Readonly<Record<string, unknown>> = {
  UserData: "aGVsbG8=",
  TagSpecifications: [{ ResourceType: "volume", Tags: [{ Key: "a", Value: "" }] }],
}

/** Every member of the shape, falsy where a value can be; what may be anything is a text that tries the escaping. */
function whole(shape: Shape, rule: Rule = {}): unknown {
  if (shape.kind === "list") return [whole(shape.element(), rule.each)]
  if (shape.kind === "boolean") return false
  if (shape.kind === "number") return rule.range?.[0] ?? 0
  if (shape.kind === "timestamp") return new Date(86_400_000)
  if (shape.kind !== "struct") return rule.among?.[0] ?? (rule.pattern === undefined ? " é&<> " : "m5.*")
  const rules = rulesOf(shape)
  return Object.fromEntries(
    shape.members().map(({ name, shape }) => [name, checked[name] ?? whole(shape, rules[name])]),
  )
}

test("every member of a template's data is kept, and nothing else is shown", async () => {
  const { CreateLaunchTemplate: operation } = await loadSchemas("ec2")
  const { input } = operationShapes(operation)
  const member = input.kind === "struct" && input.members().find(({ name }) => name === "LaunchTemplateData")
  const all = whole(member ? member.shape : assert.fail("no data")) as Required<RequestLaunchTemplateData>
  assert.ok(Object.keys(all).length >= 34, Object.keys(all).join())
  // One rules out the other.
  const { InstanceType: _, ...byNeed } = all
  const { InstanceRequirements: __, ...byType } = all
  for (const LaunchTemplateData of [byNeed, byType, { InstanceType: "t3.micro" as const }]) {
    const LaunchTemplateName = cloud.name()
    await cloud.ec2("CreateLaunchTemplate", { LaunchTemplateName, LaunchTemplateData })
    const { LaunchTemplateVersions } = await cloud.ec2("DescribeLaunchTemplateVersions", { LaunchTemplateName })
    assert.deepEqual(LaunchTemplateVersions?.[0]?.LaunchTemplateData, LaunchTemplateData)
  }
})
