import assert from "node:assert/strict"
import type { InstanceEventWindowTimeRangeRequest } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = "iew-00000000000000000"
const weekend = { StartWeekDay: "saturday", StartHour: 22, EndWeekDay: "sunday", EndHour: 4 } as const
const cron = "* 0-4,20-23 * * 1,FRI"

async function newWindow({ ec2, name }: TestCloud): Promise<string> {
  const made = await ec2("CreateInstanceEventWindow", { Name: name(), CronExpression: cron })
  return made.InstanceEventWindow?.InstanceEventWindowId ?? assert.fail("no window")
}

async function shown({ ec2 }: TestCloud, id: string) {
  const { InstanceEventWindows } = await ec2("DescribeInstanceEventWindows", { InstanceEventWindowIds: [id] })
  return InstanceEventWindows?.[0] ?? assert.fail("no window")
}

export const eventWindows = {
  async CreateInstanceEventWindow(cloud) {
    const { ec2, refusal, name } = cloud
    const operation = "CreateInstanceEventWindow"
    const Name = name()
    const Tags = [{ Key: "of", Value: "nights" }]
    const { InstanceEventWindow: made } = await ec2(operation, {
      Name,
      TimeRanges: [weekend],
      TagSpecifications: [{ ResourceType: "instance-event-window", Tags }],
    })
    assert.match(made?.InstanceEventWindowId ?? "", /^iew-[0-9a-f]{17}$/)
    assert.equal(made?.State, "creating")
    const window = await shown(cloud, made?.InstanceEventWindowId ?? "")
    assert.deepEqual(
      [window.Name, window.TimeRanges, window.CronExpression, window.State, window.Tags],
      [Name, [weekend], undefined, "active", Tags],
    )
    assert.equal((await shown(cloud, await newWindow(cloud))).CronExpression, cron)

    const refused = (input: object) => refusal(operation, input)
    assert.equal(await refused({ CronExpression: cron, DryRun: true }), "412 DryRunOperation")
    assert.equal(await refused({ Name }), "400 MissingParameter")
    assert.equal(await refused({ TimeRanges: [weekend], CronExpression: cron }), "400 InvalidParameterCombination")
    assert.equal(await refused({ CronExpression: cron, Name: "x".repeat(256) }), "400 InvalidParameterValue")
    const ranges = (...given: InstanceEventWindowTimeRangeRequest[]) => refused({ TimeRanges: given })
    const hours = (StartHour: number, EndHour: number) =>
      ({ StartWeekDay: "monday", StartHour, EndWeekDay: "monday", EndHour }) as const
    assert.equal(await ranges({ StartWeekDay: "monday", StartHour: 1 }), "400 MissingParameter")
    assert.equal(await ranges(hours(1, 24)), "400 InvalidParameterValue")
    assert.equal(await ranges({ ...weekend, EndWeekDay: "someday" as never }), "400 InvalidParameterValue")
    // Three hours; one hour beside many; four hours that are the same two.
    assert.equal(await ranges(hours(1, 4)), "400 InvalidParameterValue")
    assert.equal(await ranges(weekend, hours(1, 2)), "400 InvalidParameterValue")
    assert.equal(await ranges(hours(1, 3), hours(1, 3)), "400 InvalidParameterValue")
    await ec2(operation, { TimeRanges: [hours(1, 3), hours(5, 7)] })
    for (const wrong of [
      "* 0-4 * *",
      "0 0-4 * * 1",
      "* 4 * * 1",
      "* 0-1 * * 1,2,3,4,5",
      "* 20-24 * * 1",
      "* 0-4 1 * 1",
      "* 0-4 * * 7",
      "* 0-4 * * MONDAY",
      "* 0-2 * * 1,MON",
      "* 4-0 * * 1",
    ])
      assert.equal(await refused({ CronExpression: wrong }), "400 InvalidParameterValue", wrong)
  },

  async ModifyInstanceEventWindow(cloud) {
    const { ec2, refusal, name } = cloud
    const operation = "ModifyInstanceEventWindow"
    const id = await newWindow(cloud)
    const Name = name()
    const change = (changes: object) => ec2(operation, { InstanceEventWindowId: id, ...changes })
    assert.equal((await change({ Name })).InstanceEventWindow?.CronExpression, cron)
    await change({ TimeRanges: [weekend] })
    const window = await shown(cloud, id)
    assert.deepEqual([window.Name, window.TimeRanges, window.CronExpression], [Name, [weekend], undefined])
    await change({ CronExpression: "* 21-23 * * 2,3" })
    assert.deepEqual((await shown(cloud, id)).TimeRanges ?? [], [])
    const refused = (changes: object) => refusal(operation, { InstanceEventWindowId: id, ...changes })
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ Name: "other", DryRun: true }), "412 DryRunOperation")
    assert.equal(await refused({ CronExpression: "* * * * *" }), "400 InvalidParameterValue")
    assert.equal(
      await refused({ Name: "x", InstanceEventWindowId: nowhere }),
      "400 InvalidInstanceEventWindowID.NotFound",
    )
    assert.equal((await shown(cloud, id)).Name, Name)
  },

  async DeleteInstanceEventWindow(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DeleteInstanceEventWindow"
    const id = { InstanceEventWindowId: await newWindow(cloud) }
    const AssociationTarget = { InstanceTags: [{ Key: "delete", Value: "me" }] }
    await ec2("AssociateInstanceEventWindow", { ...id, AssociationTarget })
    assert.equal(await refusal(operation, id), "400 DependencyViolation")
    assert.equal(await refusal(operation, { ...id, ForceDelete: true, DryRun: true }), "412 DryRunOperation")
    const { InstanceEventWindowState } = await ec2(operation, { ...id, ForceDelete: true })
    assert.deepEqual(InstanceEventWindowState, { ...id, State: "deleting" })
    assert.equal(await refusal(operation, id), "400 InvalidInstanceEventWindowID.NotFound")
    // Its target is free again.
    const other = { InstanceEventWindowId: await newWindow(cloud) }
    await ec2("AssociateInstanceEventWindow", { ...other, AssociationTarget })
  },

  async DescribeInstanceEventWindows(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "DescribeInstanceEventWindows"
    const [instance] = await launch()
    const byInstance = await newWindow(cloud)
    const byTag = await newWindow(cloud)
    await ec2("AssociateInstanceEventWindow", {
      InstanceEventWindowId: byInstance,
      AssociationTarget: { InstanceIds: [instance] },
    })
    const InstanceTags = [{ Key: "team", Value: byTag }]
    await ec2("AssociateInstanceEventWindow", { InstanceEventWindowId: byTag, AssociationTarget: { InstanceTags } })
    await ec2("CreateTags", { Resources: [byTag], Tags: [{ Key: "own", Value: byTag }] })
    const find = async (Name: string, ...Values: string[]) =>
      (await ec2(operation, { Filters: [{ Name, Values }] })).InstanceEventWindows?.map(
        (each) => each.InstanceEventWindowId,
      )
    assert.deepEqual(await find("instance-id", instance), [byInstance])
    assert.deepEqual(await find("instance-tag", `team=${byTag}`), [byTag])
    assert.deepEqual(await find("instance-tag-key", "team"), [byTag])
    assert.deepEqual(await find("instance-tag-value", byTag), [byTag])
    assert.deepEqual(await find("tag:own", byTag), [byTag])
    assert.deepEqual(await find("tag-value", byTag), [byTag])
    assert.deepEqual(await find("event-window-name", (await shown(cloud, byTag)).Name ?? ""), [byTag])
    assert.deepEqual(await find("dedicated-host-id", "h-0123456789abcdef0"), [])
    for (const MaxResults of [19, 501])
      assert.equal(await refusal(operation, { MaxResults }), "400 InvalidParameterValue")
    const missing = { InstanceEventWindowIds: [nowhere] }
    assert.equal(await refusal(operation, missing), "400 InvalidInstanceEventWindowID.NotFound")
  },

  async AssociateInstanceEventWindow(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "AssociateInstanceEventWindow"
    const [first] = await launch()
    const [second] = await launch()
    const InstanceEventWindowId = await newWindow(cloud)
    const associate = (AssociationTarget: object) => ec2(operation, { InstanceEventWindowId, AssociationTarget })
    const refused = (AssociationTarget: object, more = {}) =>
      refusal(operation, { InstanceEventWindowId, AssociationTarget, ...more })
    const { InstanceEventWindow } = await associate({ InstanceIds: [first, first] })
    assert.deepEqual(InstanceEventWindow?.AssociationTarget?.InstanceIds, [first])
    await associate({ InstanceIds: [second] })
    const targets = async () => (await shown(cloud, InstanceEventWindowId)).AssociationTarget
    assert.deepEqual((await targets())?.InstanceIds, [first, second])

    const tags = { InstanceTags: [{ Key: "team", Value: "red" }] }
    assert.equal(await refused(tags), "400 InvalidParameterCombination")
    assert.equal(await refused({ ...tags, InstanceIds: [first] }), "400 InvalidParameterCombination")
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ InstanceIds: ["i-00000000000000000"] }), "400 InvalidInstanceID.NotFound")
    assert.equal(await refused({ DedicatedHostIds: ["h-0123456789abcdef0"] }), "400 UnsupportedOperation")
    assert.equal(await refused({ InstanceIds: [first] }, { DryRun: true }), "412 DryRunOperation")
    const other = { InstanceEventWindowId: await newWindow(cloud) }
    assert.equal(await refused({ InstanceIds: [first] }, other), "400 Resource.AlreadyAssociated")
    const many = { InstanceTags: Array.from({ length: 51 }, (_, n) => ({ Key: `team-${n}`, Value: "" })) }
    assert.equal(await refused(many, other), "400 InvalidParameterValue")
    const nowhereElse = { InstanceEventWindowId: nowhere }
    assert.equal(await refused(tags, nowhereElse), "400 InvalidInstanceEventWindowID.NotFound")

    // An instance that is gone leaves its window, and comes into none.
    await ec2("TerminateInstances", { InstanceIds: [first] })
    await daemon.settled()
    assert.deepEqual((await targets())?.InstanceIds, [second])
    assert.equal(await refused({ InstanceIds: [first] }), "400 IncorrectInstanceState")
  },

  async DisassociateInstanceEventWindow(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "DisassociateInstanceEventWindow"
    const [instance] = await launch()
    const InstanceEventWindowId = await newWindow(cloud)
    const InstanceTags = ["a", "b"].map((Value) => ({ Key: InstanceEventWindowId, Value }))
    await ec2("AssociateInstanceEventWindow", { InstanceEventWindowId, AssociationTarget: { InstanceTags } })
    const [one = { Key: "", Value: "" }, two = { Key: "", Value: "" }] = InstanceTags
    const take = (AssociationTarget: object) => ({ InstanceEventWindowId, AssociationTarget })
    assert.equal(await refusal(operation, { ...take({ InstanceTags: [one] }), DryRun: true }), "412 DryRunOperation")
    const { InstanceEventWindow } = await ec2(operation, take({ InstanceTags: [one] }))
    assert.deepEqual(InstanceEventWindow?.AssociationTarget?.Tags, [two])
    assert.equal(await refusal(operation, take({ InstanceTags: [one] })), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, take({ InstanceIds: [instance] })), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, take({})), "400 MissingParameter")
    // Without targets it may be of another sort.
    await ec2(operation, take({ InstanceTags: [two] }))
    const AssociationTarget = { InstanceIds: [instance] }
    await ec2("AssociateInstanceEventWindow", { InstanceEventWindowId, AssociationTarget })
  },
} satisfies Checks
