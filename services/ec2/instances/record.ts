/** Instances as they are stored. Addresses stand in their network interfaces. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"
import { platformDetails, usageOperation } from "../images/platform.ts"
import type { Seat } from "../capacity-reservations/seats.ts"
import type { CapacityWish } from "../capacity-reservations/wish.ts"
import { type CpuCredits, creditsOf } from "../credits/families.ts"
import type { PrivateDnsName } from "../network-interfaces/names.ts"
import type { RootReplacement } from "../root-volumes/record.ts"
import type { Checks, Impairment } from "./checks.ts"

export type InstanceState = "pending" | "running" | "shutting-down" | "terminated" | "stopping" | "stopped"

/** Code of each state, as the API reference of InstanceState gives them. */
export const stateCodes: Readonly<Record<InstanceState, number>> = {
  pending: 0,
  running: 16,
  "shutting-down": 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
}

export interface BlockDevice {
  readonly device: string
  readonly volume: string
  readonly deleteOnTermination: boolean
  readonly attachedMs: number
  readonly status: "attaching" | "attached" | "detaching"
}

export interface InstanceRecord extends Tagged {
  /** Unique in the home: its process's user follows from it. */
  readonly number: number
  readonly reservation: string
  readonly launchIndex: number
  readonly image: string
  /** Id of the image that it boots as, where that is another: of one that was made here, or of AWS and not here. */
  readonly launchedImage?: string
  readonly type: string
  readonly architecture: "x86_64" | "arm64"
  /** Of the image it was launched from; absent is Linux. */
  readonly platform?: "windows"
  readonly vcpus: number
  /** Where other than its type's were chosen: `vcpus` is their product. */
  readonly cpu?: CpuOptions
  readonly memoryMiB: number
  readonly keyName?: string
  /** OpenSSH line, as the key pair held it at launch. */
  readonly publicKey?: string
  readonly vpc: string
  readonly subnet: string
  readonly zone: string
  readonly zoneId: string
  /** Of a tenancy of "host": where it is, or was when it last ran. */
  readonly host?: { readonly id: string; readonly affinity: "default" | "host" }
  /** The placement group that it is in. */
  readonly placement?: Placement
  readonly uuid: string
  readonly state: InstanceState
  readonly stateReason?: { readonly code: string; readonly message: string }
  readonly transitionReason: string
  readonly launchedMs: number
  /** When the state became "terminated": it stays visible for an hour. */
  readonly terminatedMs?: number
  /** When the guest began to run. */
  readonly runningMs?: number
  readonly impaired?: Impairment
  /** Of a running instance; what is missing is not known yet. */
  readonly checks?: Checks
  /** Base64, as the caller sent it. */
  readonly userData?: string
  readonly clientToken?: string
  readonly rootDevice: string
  readonly blockDevices: readonly BlockDevice[]
  /** Ids, by device index. */
  readonly networkInterfaces: readonly string[]
  /** Security groups of the primary interface, and what filters look for. */
  readonly groups: readonly { readonly id: string; readonly name: string }[]
  readonly address: string
  readonly publicAddress?: string
  readonly dnsName: string
  readonly publicDnsName?: string
  readonly privateDnsName?: PrivateDnsName
  readonly starts: number
  readonly resets: number
  readonly machineVersion?: string
  /** Of EC2 Instance Connect; those that are over go when the next one comes. */
  readonly temporaryKeys?: readonly TemporaryKey[]
  /** Asked for at launch, for good. */
  readonly hibernationConfigured?: true
  /** Its memory is to be kept when it stops ("stopping"), or is kept until it runs again ("stopped", "pending"). */
  readonly hibernate?: true
  /** Which capacity reservations it may run in; absent: any open one that suits it. */
  readonly capacity?: CapacityWish
  /** In the reservation that it runs in. */
  readonly seat?: Seat
  /** While its root volume is being replaced. */
  readonly rootReplacement?: RootReplacement
  readonly attributes: InstanceAttributes
}

export interface TemporaryKey {
  /** Name of a user in the guest. */
  readonly user: string
  /** A line of authorized_keys. */
  readonly key: string
  readonly untilMs: number
}

export interface CpuOptions {
  readonly cores: number
  /** Of each core. */
  readonly threads: number
}

export interface Placement {
  /** Id and name of the group. */
  readonly group: string
  readonly name: string
  /** From 1, in a partition group. */
  readonly partition?: number
}

/** What the operations that modify an instance change. */
export interface InstanceAttributes {
  readonly disableApiTermination: boolean
  readonly disableApiStop: boolean
  readonly shutdownBehavior: "stop" | "terminate"
  readonly ebsOptimized: boolean
  readonly enaSupport: boolean
  readonly sriovNetSupport?: "simple"
  /** Of a burstable type, or of a type that was one. */
  readonly cpuCredits?: CpuCredits
  /** Absent: both are "default". */
  readonly maintenance?: MaintenanceOptions
  readonly sourceDestCheck: boolean
  readonly monitoring: "disabled" | "enabled"
  readonly metadata: {
    readonly tokens: "optional" | "required"
    readonly hopLimit: number
    readonly endpoint: "enabled" | "disabled"
    readonly tags: "enabled" | "disabled"
  }
}

export interface MaintenanceOptions {
  readonly autoRecovery: "default" | "disabled"
  readonly rebootMigration: "default" | "disabled"
}

export const tenancyOf = ({ host }: InstanceRecord) => (host === undefined ? "default" : "host")

/** Why an instance is in its state. One that is on its way up says so in both parts, as EC2 does. */
export function stateReasonOf(record: InstanceRecord): InstanceRecord["stateReason"] {
  return record.state === "pending" ? { code: "pending", message: "pending" } : record.stateReason
}

export const instanceKind = defineKind<InstanceRecord>({
  name: "instance",
  prefix: "i",
  schema: 1,
  notFound: ["InvalidInstanceID.NotFound", "The instance ID '{id}' does not exist"],
  malformed: ["InvalidInstanceID.Malformed", 'Invalid id: "{id}"'],
  facets: ({ id, account, record }) => ({
    "instance-id": id,
    "owner-id": account,
    "reservation-id": record.reservation,
    "launch-index": record.launchIndex,
    "image-id": record.image,
    "instance-type": record.type,
    architecture: record.architecture,
    platform: record.platform,
    "platform-details": platformDetails(record.platform),
    "usage-operation": usageOperation(record.platform),
    "key-name": record.keyName,
    "vpc-id": record.vpc,
    "subnet-id": record.subnet,
    "availability-zone": record.zone,
    "availability-zone-id": record.zoneId,
    "instance-state-name": record.state,
    "instance-state-code": stateCodes[record.state],
    "state-reason-code": stateReasonOf(record)?.code,
    "state-reason-message": stateReasonOf(record)?.message,
    reason: record.transitionReason,
    "placement-group-name": record.placement?.name,
    // No filter of DescribeInstances: groups look for their instances by it.
    "placement-group-id": record.placement?.group,
    "placement-partition-number": record.placement?.partition,
    "launch-time": new Date(record.launchedMs).toISOString(),
    "client-token": record.clientToken,
    "root-device-name": record.rootDevice,
    "root-device-type": "ebs",
    hypervisor: "xen",
    "virtualization-type": "hvm",
    affinity: record.host?.affinity,
    "host-id": record.host?.id,
    tenancy: tenancyOf(record),
    "monitoring-state": record.attributes.monitoring,
    "capacity-reservation-id": record.seat?.reservation,
    "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id": record.capacity?.target,
    "ebs-optimized": record.attributes.ebsOptimized,
    "ena-support": record.attributes.enaSupport,
    "enclave-options.enabled": false,
    "hibernation-options.configured": record.hibernationConfigured === true,
    "maintenance-options.auto-recovery": record.attributes.maintenance?.autoRecovery ?? "default",
    // No filter of DescribeInstances: DescribeInstanceCreditSpecifications looks for it.
    "cpu-credits": creditsOf(record),
    "source-dest-check": record.attributes.sourceDestCheck,
    "private-ip-address": record.address || undefined,
    "private-dns-name": record.dnsName || undefined,
    "ip-address": record.publicAddress,
    "dns-name": record.publicDnsName,
    "instance.group-id": record.groups.map((group) => group.id),
    "instance.group-name": record.groups.map((group) => group.name),
    "network-interface.network-interface-id": record.networkInterfaces,
    "network-interface.group-id": record.groups.map((group) => group.id),
    "network-interface.group-name": record.groups.map((group) => group.name),
    "network-interface.subnet-id": record.networkInterfaces.length > 0 ? record.subnet : undefined,
    "network-interface.vpc-id": record.networkInterfaces.length > 0 ? record.vpc : undefined,
    "block-device-mapping.device-name": record.blockDevices.map((device) => device.device),
    "block-device-mapping.volume-id": record.blockDevices.map((device) => device.volume),
    "block-device-mapping.delete-on-termination": record.blockDevices.map((device) =>
      String(device.deleteOnTermination),
    ),
    "block-device-mapping.status": record.blockDevices.map((device) => device.status),
    "metadata-options.http-tokens": record.attributes.metadata.tokens,
    "metadata-options.http-put-response-hop-limit": record.attributes.metadata.hopLimit,
    "metadata-options.http-endpoint": record.attributes.metadata.endpoint,
    "metadata-options.instance-metadata-tags": record.attributes.metadata.tags,
  }),
})
