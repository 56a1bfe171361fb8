/**
 * DescribeVolumeStatus. A volume is as well as the disk of its host: where that is full, the guest and its I/O stand still until there is room, which
 * EC2 calls stalled. Whose system check fails has no I/O either. Performance is not provisioned here, so that it is judged only when there is none.
 */
import { createHash } from "node:crypto"
import type { VolumeStatusItem } from "@aws-sdk/client-ec2"
import { fits } from "#cloud/resources/describe.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler } from "../handler.ts"
import { instanceKind, type InstanceRecord } from "../instances/record.ts"
import { type VolumeRecord, volumeKind } from "./record.ts"

type Values = readonly (string | undefined)[]
type Look = (status: VolumeStatusItem) => Values

const details = (status: VolumeStatusItem) => status.VolumeStatus?.Details ?? []

/** Filters that no index answers. */
const computed: Readonly<Record<string, Look>> = {
  "action.code": ({ Actions = [] }) => Actions.map((each) => each.Code),
  "action.description": ({ Actions = [] }) => Actions.map((each) => each.Description),
  "action.event-id": ({ Actions = [] }) => Actions.map((each) => each.EventId),
  "attachment-status.instance-id": ({ AttachmentStatuses = [] }) => AttachmentStatuses.map((each) => each.InstanceId),
  "attachment-status.io-performance": ({ AttachmentStatuses = [] }) =>
    AttachmentStatuses.map((each) => each.IoPerformance),
  "event.description": ({ Events = [] }) => Events.map((each) => each.Description),
  "event.event-id": ({ Events = [] }) => Events.map((each) => each.EventId),
  "event.event-type": ({ Events = [] }) => Events.map((each) => each.EventType),
  "event.not-after": ({ Events = [] }) => Events.map((each) => each.NotAfter?.toISOString()),
  "event.not-before": ({ Events = [] }) => Events.map((each) => each.NotBefore?.toISOString()),
  "volume-status.details-name": (status) => details(status).map((each) => each.Name),
  "volume-status.details-status": (status) => details(status).map((each) => each.Status),
  "volume-status.status": (status) => [status.VolumeStatus?.Status],
}

export const describeVolumeStatus: Handler<"DescribeVolumeStatus"> = async (input, call) => {
  const page = await call.describe({
    kind: volumeKind,
    ids: input.VolumeIds,
    idsCalled: "volumeSet",
    filterNames: ["availability-zone", ...Object.keys(computed)],
    computed: Object.keys(computed),
    ...asked(input),
  })
  const holders = page.items.flatMap(({ record }) => record.attachment?.instance ?? [])
  const instances = await call.load(instanceKind, [...new Set(holders)])
  const statuses = page.items.map((volume) => toStatus(volume, instances.get(volume.record.attachment?.instance ?? "")))
  return {
    VolumeStatuses: statuses.filter((status) => fits(page.remaining, (name) => computed[name]?.(status) ?? [])),
    ...nextToken(page),
  }
}

function toStatus(volume: Resource<VolumeRecord>, instance: Resource<InstanceRecord> | undefined): VolumeStatusItem {
  const { id, record } = volume
  const stalled = instance && stalledSince(instance.record)
  const performance = stalled === undefined ? "not-applicable" : "stalled"
  return {
    VolumeId: id,
    AvailabilityZone: record.zone,
    AvailabilityZoneId: record.zoneId,
    Actions: [],
    Events: instance === undefined || stalled === undefined ? [] : [eventOf(id, instance.id, stalled)],
    AttachmentStatuses: instance === undefined ? [] : [{ InstanceId: instance.id, IoPerformance: performance }],
    VolumeStatus: statusOf(record, performance),
  }
}

function statusOf({ state }: VolumeRecord, performance: string): VolumeStatusItem["VolumeStatus"] {
  const known = state !== "creating"
  return {
    Status: performance === "stalled" ? "impaired" : known ? "ok" : "insufficient-data",
    Details: [
      { Name: "io-enabled", Status: known ? "passed" : "insufficient-data" },
      { Name: "io-performance", Status: performance },
    ],
  }
}

/** Since when an instance's I/O stands still, where it does. */
function stalledSince({ state, impaired, checks }: InstanceRecord): number | undefined {
  if (state !== "running") return undefined
  if (impaired?.code === "disk-full") return impaired.sinceMs
  return checks?.system?.status === "failed" ? checks.system.sinceMs : undefined
}

function eventOf(volume: string, instance: string, sinceMs: number) {
  // The same one for as long as it lasts, and for nothing else.
  const mark = createHash("sha256").update(`${volume} ${sinceMs}`).digest("hex").slice(0, 17)
  return {
    EventId: `evol-${mark}`,
    EventType: "io-performance:stalled",
    Description: "The host's disk does not take what the instance writes; its I/O goes on by itself when it does.",
    InstanceId: instance,
    NotBefore: new Date(sinceMs),
  }
}
