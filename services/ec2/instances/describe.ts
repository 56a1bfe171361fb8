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
import type { Check, Impairment } from "./checks.ts"
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
  const statuses = page.items.map(toStatus)
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

/** Which checks each impairment fails. A panic is the guest's own; a full disk is the host's, and stops the guest and its volumes too. */
const failedBy: Readonly<Record<Impairment["code"], readonly (keyof typeof checkOf)[]>> = {
  crashed: ["instance"],
  ended: ["instance", "system"],
  "disk-full": ["instance", "system", "volumes"],
}
/** Volumes are reached when their host's disk is. */
const checkOf = { instance: "instance", system: "system", volumes: "system" } as const

function toStatus({ id, record }: Resource<InstanceRecord>): InstanceStatus {
  const running = record.state === "running"
  const summary = (what: keyof typeof checkOf) => {
    if (!running) return { Status: "not-applicable" as const }
    const { impaired } = record
    const check = record.checks?.[checkOf[what]]
    const hurt = impaired !== undefined && failedBy[impaired.code].includes(what)
    const failed = hurt || check?.status === "failed"
    if (!failed) return check === undefined ? initializing : passed
    const since = new Date(Math.min((hurt ? impaired.sinceMs : undefined) ?? Infinity, failedSince(check)))
    return {
      Status: "impaired" as const,
      Details: [{ Name: "reachability" as const, Status: "failed" as const, ImpairedSince: since }],
    }
  }
  return {
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    InstanceId: id,
    InstanceState: toState(record.state),
    InstanceStatus: summary("instance"),
    SystemStatus: summary("system"),
    AttachedEbsStatus: summary("volumes"),
  }
}

const initializing = {
  Status: "initializing" as const,
  Details: [{ Name: "reachability" as const, Status: "initializing" as const }],
}
const passed = { Status: "ok" as const, Details: [{ Name: "reachability" as const, Status: "passed" as const }] }
const failedSince = (check: Check | undefined) => (check?.status === "failed" ? check.sinceMs : Infinity)
