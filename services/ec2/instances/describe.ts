/** DescribeInstances, DescribeInstanceStatus. */
import type { InstanceStatus } from "@aws-sdk/client-ec2"
import { matches } from "#cloud/resources/match.ts"
import type { Filter } from "#cloud/resources/describe.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { networkInterfaceKind } from "../network-interfaces/record.ts"
import { toReservations, toState } from "./answer.ts"
import { instanceFilters, statusFilters } from "./filter-names.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"

export const describeInstances: Handler<"DescribeInstances"> = async (input, call) => {
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    filterNames: instanceFilters,
    ...asked(input),
  })
  const interfaces = await call.load(
    networkInterfaceKind,
    page.items.flatMap((instance) => instance.record.networkInterfaces),
  )
  return { Reservations: toReservations(page.items, interfaces), ...nextToken(page) }
}

/** Cloud seconds from "running" until the guest counts as reachable. */
const initializingMs = 30_000

export const describeInstanceStatus: Handler<"DescribeInstanceStatus"> = async (input, call) => {
  const stored: Filter[] = []
  const computed: Filter[] = []
  for (const filter of input.Filters ?? []) (isComputed(filter.Name) ? computed : stored).push(filter)
  const empty = computed.find(({ Values }) => Values === undefined || Values.length === 0)
  if (empty !== undefined) throw raise("InvalidParameterValue", { detail: `The filter '${empty.Name}' has no values` })
  const running = input.IncludeAllInstances === true ? [] : [{ name: "instance-state-name", values: ["running"] }]
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    filters: stored,
    filterNames: statusFilters,
    maxResults: input.MaxResults,
    nextToken: input.NextToken,
    also: running,
  })
  const statuses = page.items.map((instance) => toStatus(instance, call.nowMs))
  return {
    InstanceStatuses: statuses.filter((status) => computed.every((filter) => hasStatus(status, filter))),
    ...nextToken(page),
  }
}

const isComputed = (name: string | undefined) =>
  /^(instance|system|attached-ebs)-status\.(status|reachability)$/.test(name ?? "")

function hasStatus(status: InstanceStatus, { Name, Values }: Filter): boolean {
  const summary =
    Name?.startsWith("system") === true
      ? status.SystemStatus
      : Name?.startsWith("instance") === true
        ? status.InstanceStatus
        : status.AttachedEbsStatus
  const value = Name?.endsWith(".status") === true ? summary?.Status : summary?.Details?.[0]?.Status
  return (Values ?? []).some((want) => matches(want, value ?? ""))
}

function toStatus({ id, record }: Resource<InstanceRecord>, nowMs: number): InstanceStatus {
  const running = record.state === "running"
  const settled = running && nowMs - (record.runningMs ?? record.launchedMs) >= initializingMs
  const { impaired } = record
  const summary = (name: "reachability", hurtBy: readonly string[] = ["disk-full"]) => {
    if (!running) return { Status: "not-applicable" as const }
    if (impaired !== undefined && hurtBy.includes(impaired.code)) {
      const since = new Date(impaired.sinceMs)
      return { Status: "impaired" as const, Details: [{ Name: name, Status: "failed" as const, ImpairedSince: since }] }
    }
    return {
      Status: settled ? ("ok" as const) : ("initializing" as const),
      Details: [{ Name: name, Status: settled ? ("passed" as const) : ("initializing" as const) }],
    }
  }
  return {
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    InstanceId: id,
    InstanceState: toState(record.state),
    // A panic is the guest's own; a full disk is the host's, and stops the guest and its volumes too.
    InstanceStatus: summary("reachability", ["disk-full", "crashed"]),
    SystemStatus: summary("reachability"),
    AttachedEbsStatus: summary("reachability"),
  }
}
