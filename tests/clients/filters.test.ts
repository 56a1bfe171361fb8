/**
 * Every filter that EC2 documents for a Describe that is done: it is taken, `*` finds something, so does a value that the answer shows, and
 * a value that nothing has finds nothing. Wildcards, several values and several filters do what they should. Those that have nothing to find here are listed with the reason in filters/empty.ts.
 */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import type { DescribeInstancesResult } from "@aws-sdk/client-ec2"
import { handlers } from "#services/ec2/service.ts"
import { documentedFilters, parametersOf } from "./filters/documented.ts"
import { emptyHere } from "./filters/empty.ts"
import { furnish } from "./filters/furnish.ts"
import { type Ec2Operation, openTestCloud, type TestCloud } from "./operations/cloud.ts"

let cloud: TestCloud
before(async () => {
  cloud = await openTestCloud()
  await furnish(cloud)
})
after(() => cloud?.close())

type Members = Readonly<Record<string, unknown>>

/** What keeps the answer small, or shows all that there is. */
const also: Readonly<Record<string, Members>> = {
  DescribeInstanceStatus: { IncludeAllInstances: true },
  DescribeLaunchTemplateVersions: { Versions: ["$Latest", "$Default"] },
  DescribeInstanceTypes: { InstanceTypes: ["t3.micro", "m5d.metal", "p4d.24xlarge", "m6a.large", "m8g.large"] },
}
const valuesAtOnce = 200

async function answer(operation: string, ...Filters: readonly object[]): Promise<Members> {
  // DescribeHosts calls them "Filter".
  const name = parametersOf(operation).includes("Filter") ? "Filter" : "Filters"
  return cloud.ec2(operation as Ec2Operation, { ...also[operation], [name]: Filters })
}

/** How many rows the filter leaves. */
const found = (operation: string, Name: string, Values: readonly string[]) => rows(operation, { Name, Values })

async function rows(operation: string, ...filters: readonly object[]): Promise<number> {
  const list = Object.values(await answer(operation, ...filters)).find((member) => Array.isArray(member))
  return (list as readonly unknown[] | undefined)?.length ?? 0
}

/** Every scalar in it, as filters spell values. */
function leaves(value: unknown): readonly string[] {
  if (value instanceof Date) return [value.toISOString()]
  if (typeof value !== "object" || value === null) return [String(value)]
  return Object.values(value).flatMap(leaves)
}

/** Values that the answer spells otherwise than the filter. */
const shownOtherwise: Readonly<Record<string, readonly string[]>> = {
  DescribeInstanceEventWindows: ["purpose=filters"],
}
/** Another answer that shows more: of an instance's interface EC2 shows the public address without its allocation. */
const shownElsewhere: Readonly<Record<string, string>> = { DescribeInstances: "DescribeAddresses" }

async function shownBy(operation: string): Promise<readonly string[]> {
  const elsewhere = shownElsewhere[operation]
  const more = elsewhere === undefined ? [] : leaves(await answer(elsewhere))
  return [...new Set([...leaves(await answer(operation)), ...(shownOtherwise[operation] ?? []), ...more])]
}

const operations = Object.keys(handlers).filter((name) => name.startsWith("Describe"))
for (const operation of operations) {
  const documented = documentedFilters(operation)
  if (documented === undefined) continue
  test(`${operation}: ${documented.length} filters`, async () => {
    const shown = await shownBy(operation)
    const wrong: string[] = []
    for (const filter of documented) {
      const problem = await problemOf(operation, filter, shown).catch((error: Error) => `is refused: ${error.message}`)
      if (problem !== undefined) wrong.push(`${filter} ${problem}`)
    }
    assert.deepEqual(wrong, [])
  })
}

async function problemOf(operation: string, filter: string, shown: readonly string[]): Promise<string | undefined> {
  const name = filter.replace("<key>", "purpose")
  const why = emptyHere(operation, filter)
  const any = await found(operation, name, ["*"])
  if (why !== undefined) return any === 0 ? undefined : `finds something, though ${why}`
  if (any === 0) return "finds nothing"
  if ((await found(operation, name, ["no such value"])) > 0) return "finds what is not there"
  for (let from = 0; from < shown.length; from += valuesAtOnce) {
    const values = shown.slice(from, from + valuesAtOnce)
    if ((await found(operation, name, values)) > 0)
      return combined(operation, name, await valueAmong(operation, name, values))
  }
  return "does not go by what is shown"
}

/** One of the values, one of which at least finds something. */
async function valueAmong(operation: string, name: string, values: readonly string[]): Promise<string> {
  if (values.length === 1) return values[0] ?? ""
  const half = values.slice(0, values.length / 2)
  const finds = (await found(operation, name, half)) > 0
  return valueAmong(operation, name, finds ? half : values.slice(half.length))
}

/** Older spellings are the same filter: "availabilityZone". */
const plain = (name: string) => name.replaceAll("-", "").toLowerCase()

/** What holds for a filter with a value that it finds: wildcards, several values, several filters. */
async function combined(operation: string, name: string, value: string): Promise<string | undefined> {
  const alone = await found(operation, name, [value])
  const patterns = [`${value.slice(0, -1)}?`, `${value.slice(0, 1)}*`, `*${value.slice(-1)}`]
  for (const pattern of value === "" ? [] : patterns)
    if ((await found(operation, name, [pattern])) < alone) return `finds less by ${pattern} than by ${value}`
  if ((await found(operation, name, ["no such value", value])) !== alone) return `finds not the same by one more value`
  const Values = [value]
  const other = documentedFilters(operation)?.find((each) => plain(each) !== plain(name) && each !== "tag:<key>")
  if (other === undefined) return undefined
  const both = await rows(operation, { Name: name, Values }, { Name: other, Values: ["no such value"] })
  return both === 0 ? undefined : `is enough where ${other} finds nothing`
}

test("what no index answers is looked for on every page, and its token is of no other filter", async () => {
  const [id] = await cloud.launch({ MinCount: 7, MaxCount: 7 })
  const { NetworkInterfaces: [own] = [] } = await cloud.ec2("DescribeNetworkInterfaces", {
    Filters: [{ Name: "attachment.instance-id", Values: [id] }],
  })
  const Filters = [{ Name: "network-interface.mac-address", Values: [own?.MacAddress ?? ""] }]
  const seen: (string | undefined)[] = []
  let pages = 0
  for (let NextToken: string | undefined = ""; NextToken !== undefined; pages++) {
    const page: DescribeInstancesResult = await cloud.ec2("DescribeInstances", { Filters, MaxResults: 5, NextToken })
    seen.push(...(page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances.map((each) => each.InstanceId)))
    NextToken = page.NextToken
    const other = [{ Name: "network-interface.mac-address", Values: ["*"] }]
    if (NextToken !== undefined)
      assert.equal(
        await cloud.refusal("DescribeInstances", { Filters: other, MaxResults: 5, NextToken }),
        "400 InvalidNextToken",
      )
  }
  assert.deepEqual(seen, [id])
  assert.equal(pages, 2)
})
