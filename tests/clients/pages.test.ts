/**
 * Pages of every Describe that has them: together they are the whole answer, and while rows come and go what was there all the time is there
 * exactly once.
 */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { handlers } from "#services/ec2/service.ts"
import { parametersOf } from "./filters/documented.ts"
import { furnish } from "./filters/furnish.ts"
import { type Ec2Operation, openTestCloud, type TestCloud } from "./operations/cloud.ts"

type Members = Readonly<Record<string, unknown>>
const groups: string[] = []
const instances: string[] = []
const volatile = { Key: "comes-and-goes", Value: "x" }

let cloud: TestCloud
before(async () => {
  cloud = await openTestCloud()
  await furnish(cloud)
  instances.push(...(await cloud.launch({ MinCount: 12, MaxCount: 12 })))
  for (let count = 0; count < 12; count++) groups.push(await newGroup())
})
after(() => cloud?.close())

async function newGroup(): Promise<string> {
  const made = await cloud.ec2("CreateSecurityGroup", { GroupName: cloud.name(), Description: "x" })
  return made.GroupId ?? ""
}

/** What tells a row from all others: the first of these that it has. */
const identities: readonly (readonly string[])[] = [
  ["ReplaceRootVolumeTaskId"],
  ["DhcpOptionsId"],
  ["NetworkAclId"],
  ["SnapshotId", "StartTime"],
  ["InstanceId"],
  ["VolumeId"],
  ["NetworkInterfaceId"],
  ["SecurityGroupRuleId"],
  ["LaunchTemplateId", "VersionNumber"],
  ["LaunchTemplateId"],
  ["PrefixListId"],
  ["CapacityReservationId"],
  ["HostId"],
  ["InstanceEventWindowId"],
  ["RouteTableId"],
  ["InternetGatewayId"],
  ["SubnetId"],
  ["ResourceId", "Key"],
  ["InstanceType", "Location"],
  ["GroupId"],
  ["ImageId"],
  ["VpcId"],
  ["PublicIp"],
  ["InstanceType"],
  ["Arn"],
]

function identity(operation: string, row: Members): string {
  const names = identities.find((each) => each.every((name) => row[name] !== undefined))
  return names === undefined
    ? assert.fail(`${operation}: nothing in this test's table tells ${JSON.stringify(row)} from others`)
    : names.map((name) => String(row[name])).join(" ")
}

interface Page {
  readonly rows: readonly string[]
  readonly next: string | undefined
}

/** What an operation has to be told besides. */
const also: Readonly<Record<string, () => Members | Promise<Members>>> = {
  DescribeLaunchTemplateVersions: () => ({ LaunchTemplateName: "filters" }),
  DescribeStaleSecurityGroups: async () => ({ VpcId: (await cloud.ec2("DescribeVpcs", {})).Vpcs?.[0]?.VpcId }),
}

async function page(operation: string, input: Members): Promise<Page> {
  const answer: Members = await cloud.ec2(operation as Ec2Operation, { ...(await also[operation]?.()), ...input })
  const list = Object.values(answer).find((member) => Array.isArray(member)) as readonly Members[] | undefined
  const rows = (list ?? []).flatMap((row) =>
    Array.isArray(row["Instances"]) ? (row["Instances"] as Members[]) : [row],
  )
  return { rows: rows.map((row) => identity(operation, row)), next: answer["NextToken"] as string | undefined }
}

const mostPages = 400

/** What an operation gives at most on a page, where it is less than 100. */
const mostOf: Readonly<Record<string, number>> = { DescribeReplaceRootVolumeTasks: 50 }

/** All rows by pages of a size, with something done between two pages. */
async function byPages(operation: string, MaxResults: number, between: (index: number) => Promise<void>) {
  const { rows, next } = await page(operation, { MaxResults })
  const all = [...rows]
  let pages = 1
  for (let NextToken = next; NextToken !== undefined; pages++) {
    assert.ok(pages < mostPages, "the pages do not end")
    await between(pages)
    const more = await page(operation, { MaxResults, NextToken })
    assert.ok(more.rows.length <= MaxResults, `${more.rows.length} rows on a page of ${MaxResults}`)
    all.push(...more.rows)
    NextToken = more.next
  }
  return all
}

/** The least that the operation takes. */
async function leastOf(operation: string): Promise<number> {
  for (const MaxResults of [1, 5, 20, 100]) {
    const taken = await page(operation, { MaxResults }).then(
      () => true,
      (error: Error) => (error.name === "InvalidParameterValue" ? false : Promise.reject(error)),
    )
    if (taken) return MaxResults
  }
  return assert.fail("it takes no MaxResults of 1, 5, 20 or 100")
}

/** One of each comes, one goes, and tags change. */
async function change(index: number): Promise<void> {
  if (index > 3) return
  const [kept = ""] = groups
  const gone = groups.splice(1 + ((index * 5) % (groups.length - 1)), 1)
  await cloud.ec2("DeleteSecurityGroup", { GroupId: gone[0] ?? "" })
  groups.push(await newGroup())
  await cloud.ec2(index % 2 === 0 ? "DeleteTags" : "CreateTags", { Resources: [kept], Tags: [volatile] })
  const ended = instances.splice((index * 7) % instances.length, 1)
  await cloud.ec2("TerminateInstances", { InstanceIds: ended })
  instances.push(...(await cloud.launch()))
}

const paged = Object.keys(handlers).filter(
  (name) =>
    name.startsWith("Describe") && ["MaxResults", "NextToken"].every((each) => parametersOf(name).includes(each)),
)

for (const operation of paged)
  test(`${operation}: pages are the whole, and stay so while rows change`, async () => {
    const least = await leastOf(operation)
    const whole = await now(operation)
    const size = Math.min(100, Math.max(least, Math.ceil(whole.length / 10)))
    const calm = await byPages(operation, size, async () => {})
    assert.deepEqual(calm.toSorted(), whole.toSorted())
    assert.equal(new Set(whole).size, whole.length, "a row is there twice")
    const before = await now(operation)
    const changing = await byPages(operation, size, change)
    const still = await now(operation)
    const counts = Map.groupBy(changing, (row) => row)
    for (const [row, all] of counts) assert.equal(all.length, 1, `${row} is there ${all.length} times`)
    for (const row of before.filter((each) => still.includes(each))) assert.ok(counts.has(row), `${row} was left out`)
  })

const now = (operation: string) => byPages(operation, mostOf[operation] ?? 100, async () => {})

test("there are pages to look at", () => assert.ok(paged.length > 12, paged.join(", ")))
