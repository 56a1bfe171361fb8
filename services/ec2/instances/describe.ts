/** DescribeInstances, DescribeInstanceStatus. */
import type { InstanceStatus } from "@aws-sdk/client-ec2"
import { fits } from "#cloud/resources/describe.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { networkInterfaceKind } from "../network-interfaces/record.ts"
import { toInstance, toReservations, toState } from "./answer.ts"
import type { Check, Impairment } from "./checks.ts"
import { computedFilters, computedValues } from "./computed-filters.ts"
import { instanceFilters, statusFilters } from "./filter-names.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"

export const describeInstances: Handler<"DescribeInstances"> = async (input, call) => {
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    idsCalled: "instancesSet",
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

export const describeInstanceStatus: Handler<"DescribeInstanceStatus"> = async (input, call) => {
  const running = input.IncludeAllInstances === true ? [] : [{ name: "instance-state-name", values: ["running"] }]
  const page = await call.describe({
    kind: instanceKind,
    ids: input.InstanceIds,
    idsCalled: "instancesSet",
    filterNames: statusFilters,
    computed: statusFilters.filter(isComputed),
    ...asked(input),
    also: running,
  })
  const statuses = page.items.map(toStatus)
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
