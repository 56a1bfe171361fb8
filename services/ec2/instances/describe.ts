/** DescribeInstances, DescribeInstanceStatus. */
import type { InstanceStatus } from "@aws-sdk/client-ec2"
import { fits } from "#cloud/resources/describe.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { networkInterfaceKind } from "../network-interfaces/record.ts"
import { toInstance, toReservations, toState } from "./answer.ts"
import { computedFilters, computedValues } from "./computed-filters.ts"
import { instanceFilters, statusFilters } from "./filter-names.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"

export const describeInstances: Handler<"DescribeInstances"> = async (input, call) => {
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    filterNames: instanceFilters,
    computed: computedFilters,
    ...asked(input),
  })
  const interfaces = await call.load(
    networkInterfaceKind,
    page.items.flatMap((instance) => instance.record.networkInterfaces),
  )
  const found =
    page.remaining.length === 0
      ? page.items
      : page.items.filter((instance) => {
          const shown = toInstance(instance, interfaces)
          const own = instance.record.networkInterfaces.flatMap((id) => interfaces.get(id) ?? [])
          return fits(page.remaining, (name) => computedValues(name, shown, own))
        })
  return { Reservations: toReservations(found, interfaces), ...nextToken(page) }
}

/** Cloud seconds from "running" until the guest counts as reachable. */
const initializingMs = 30_000

export const describeInstanceStatus: Handler<"DescribeInstanceStatus"> = async (input, call) => {
  const running = input.IncludeAllInstances === true ? [] : [{ name: "instance-state-name", values: ["running"] }]
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    filterNames: statusFilters,
    computed: statusFilters.filter(isComputed),
    ...asked(input),
    also: running,
  })
  const statuses = page.items.map((instance) => toStatus(instance, call.nowMs))
  return {
    InstanceStatuses: statuses.filter((status) => fits(page.remaining, (name) => [statusValue(status, name)])),
    ...nextToken(page),
  }
}

const isComputed = (name: string) => /^(instance|system|attached-ebs)-status\.(status|reachability)$/.test(name)

function statusValue(status: InstanceStatus, name: string): string | undefined {
  const summary = name.startsWith("system")
    ? status.SystemStatus
    : name.startsWith("instance")
      ? status.InstanceStatus
      : status.AttachedEbsStatus
  return name.endsWith(".status") ? summary?.Status : summary?.Details?.[0]?.Status
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
