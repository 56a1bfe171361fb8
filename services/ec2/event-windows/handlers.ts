/**
 * Instance event windows: when scheduled events may reboot, stop or terminate instances. They are kept whole; no events are scheduled here, so
 * that no window is ever made use of.
 */
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers, Input } from "../handler.ts"
import { notInState } from "../instances/lifecycle.ts"
import { instanceKind } from "../instances/record.ts"
import { tagsFor } from "../tags/specifications.ts"
import { toEventWindow } from "./answer.ts"
import { type EventWindowRecord, eventWindowKind } from "./record.ts"
import { addTargets, readTargets, removeTargets } from "./targets.ts"
import { readCron, readTimeRanges } from "./times.ts"

const maxPerRegion = 200
const maxNameLength = 255

const createInstanceEventWindow: Handler<"CreateInstanceEventWindow"> = async (input, call) => {
  const changes = readChanges(input)
  if (changes.timeRanges === undefined && changes.cronExpression === undefined)
    throw raise("MissingParameter", { name: "TimeRange or CronExpression" })
  const tags = tagsFor(input.TagSpecifications, "instance-event-window")
  const scope = `event-window:${call.account}:${call.region}`
  const count = (await call.store.countClaims([scope])).get(scope) ?? 0
  if (count >= maxPerRegion) throw raise("InstanceEventWindowLimitExceeded", { limit: maxPerRegion })
  const targets = { instances: [], instanceTags: [] }
  const window = call.draft.create(eventWindowKind, { ...changes, targets, tags })
  call.draft.claim(scope, window.id, window.id)
  await call.commit()
  return { InstanceEventWindow: toEventWindow(window, "creating") }
}

/** What is not named stays; time ranges take the place of a cron expression and the other way round. */
const modifyInstanceEventWindow: Handler<"ModifyInstanceEventWindow"> = async (input, call) => {
  const changes = readChanges(input)
  const window = await requireWindow(call, "ec2:ModifyInstanceEventWindow", input.InstanceEventWindowId)
  if (Object.keys(changes).length === 0) throw raise("MissingParameter", { name: "Name, TimeRange or CronExpression" })
  const { timeRanges, cronExpression, ...others } = window.record
  const times = changes.timeRanges ?? changes.cronExpression
  const kept =
    times === undefined ? { ...given("timeRanges", timeRanges), ...given("cronExpression", cronExpression) } : {}
  const changed = call.draft.update(eventWindowKind, window, { ...others, ...kept, ...changes })
  await call.commit()
  return { InstanceEventWindow: toEventWindow(changed, "creating") }
}

type Changes = Pick<EventWindowRecord, "name" | "timeRanges" | "cronExpression">

function readChanges(input: Input<"CreateInstanceEventWindow"> | Input<"ModifyInstanceEventWindow">): Changes {
  const { Name: name, TimeRanges: ranges = [], CronExpression: cron } = input
  if (ranges.length > 0 && cron !== undefined)
    throw raise("InvalidParameterCombination", {
      detail: "The parameter TimeRange cannot be used with the parameter CronExpression",
    })
  if (name !== undefined && !isName(name))
    throw raise("InvalidParameterValue", {
      detail: `Value (${name.slice(0, maxNameLength)}) for parameter Name is invalid. A name has 1 to ${maxNameLength} printable characters.`,
    })
  return {
    ...given("name", name),
    ...given("timeRanges", ranges.length === 0 ? undefined : readTimeRanges(ranges)),
    ...given("cronExpression", cron === undefined ? undefined : readCron(cron)),
  }
}

const isName = (name: string) => name.length <= maxNameLength && /^[^\p{C}]+$/u.test(name) && name.trim() !== ""

/** One that has targets is deleted by force only. */
const deleteInstanceEventWindow: Handler<"DeleteInstanceEventWindow"> = async (input, call) => {
  const window = await requireWindow(call, "ec2:DeleteInstanceEventWindow", input.InstanceEventWindowId)
  const { instances, instanceTags } = window.record.targets
  if (instances.length + instanceTags.length > 0 && input.ForceDelete !== true)
    throw raise("DependencyViolation", { id: window.id })
  call.draft.remove(window)
  await call.commit()
  return { InstanceEventWindowState: { InstanceEventWindowId: window.id, State: "deleting" } }
}

const filterNames = [
  "dedicated-host-id",
  "event-window-name",
  "instance-id",
  "instance-tag",
  "instance-tag-key",
  "instance-tag-value",
  "tag-value",
]

const describeInstanceEventWindows: Handler<"DescribeInstanceEventWindows"> = async (input, call) => {
  const page = await call.describe({
    kind: eventWindowKind,
    ids: input.InstanceEventWindowIds,
    filterNames,
    bounds: [20, 500],
    ...asked(input),
  })
  return { InstanceEventWindows: page.items.map((window) => toEventWindow(window, "active")), ...nextToken(page) }
}

const associateInstanceEventWindow: Handler<"AssociateInstanceEventWindow"> = async (input, call) => {
  const targets = readTargets(input.AssociationTarget)
  const window = await requireWindow(call, "ec2:AssociateInstanceEventWindow", input.InstanceEventWindowId)
  const instances = await call.requireMany(instanceKind, targets.instances)
  for (const instance of instances) {
    const { state } = instance.record
    if (state === "shutting-down" || state === "terminated") throw notInState(instance.id, "associated")
    // One that ends meanwhile has to be seen by this, or see this.
    call.draft.expect(instance)
  }
  const changed = await addTargets(call, window, targets)
  await call.commit()
  return { InstanceEventWindow: toEventWindow(changed, "creating") }
}

const disassociateInstanceEventWindow: Handler<"DisassociateInstanceEventWindow"> = async (input, call) => {
  const targets = readTargets(input.AssociationTarget)
  const window = await requireWindow(call, "ec2:DisassociateInstanceEventWindow", input.InstanceEventWindowId)
  const changed = removeTargets(call, window, targets)
  await call.commit()
  return { InstanceEventWindow: toEventWindow(changed, "creating") }
}

async function requireWindow(call: Call, action: string, id: string | undefined): Promise<Resource<EventWindowRecord>> {
  const window = await call.require(eventWindowKind, id, "InstanceEventWindowId")
  call.authorize(action, window)
  return window
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V }
}

export const handlers = {
  AssociateInstanceEventWindow: associateInstanceEventWindow,
  CreateInstanceEventWindow: createInstanceEventWindow,
  DeleteInstanceEventWindow: deleteInstanceEventWindow,
  DescribeInstanceEventWindows: pure(describeInstanceEventWindows),
  DisassociateInstanceEventWindow: disassociateInstanceEventWindow,
  ModifyInstanceEventWindow: modifyInstanceEventWindow,
} satisfies Handlers
