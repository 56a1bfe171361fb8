/** Dedicated Hosts as they are stored. Which instances are on one stands in the instances. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface DedicatedHostRecord extends Tagged {
  /** "m5" */
  readonly family: string
  /** Of a host that takes one type only. */
  readonly type?: string
  readonly zone: string
  readonly zoneId: string
  readonly autoPlacement: "on" | "off"
  readonly cores: number
  readonly vcpus: number
  readonly memoryMiB: number
  /** What the machine has to keep free for it: its memory, and what QEMU needs beside each of its instances. */
  readonly heldMiB: number
  readonly clientToken?: string
  readonly allocatedMs: number
  readonly releasedMs?: number
}

export const hostStateOf = ({ releasedMs }: DedicatedHostRecord) =>
  releasedMs === undefined ? ("available" as const) : ("released" as const)

export const dedicatedHostKind = defineKind<DedicatedHostRecord>({
  name: "dedicated-host",
  prefix: "h",
  schema: 1,
  notFound: ["InvalidHostID.NotFound", "The host ID '{id}' does not exist"],
  malformed: ["InvalidHostID.Malformed", 'Invalid id: "{id}"'],
  facets: ({ record }) => ({
    "auto-placement": record.autoPlacement,
    "availability-zone": record.zone,
    "client-token": record.clientToken,
    "instance-type": record.type,
    state: hostStateOf(record),
  }),
})
