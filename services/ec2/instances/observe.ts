/**
 * What hosts observe becomes what the API says. Each observation is read against the record as it stands: one that is about an earlier start,
 * or that says what is known, changes nothing.
 */
import type { Call } from "#cloud/call.ts"
import { localHost } from "#cloud/hosts/local.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import type { GuestStatus, PlainStatus, Trouble } from "#host/protocol/types.ts"
import { forget, leaveInstance } from "../addresses/association.ts"
import { publicAddressScope } from "../addresses/pool.ts"
import { withoutSeat } from "../capacity-reservations/seats.ts"
import { leaveEventWindow } from "../event-windows/targets.ts"
import { publicAddressesOf } from "../network-interfaces/addresses.ts"
import { type NetworkInterfaceRecord, networkInterfaceKind } from "../network-interfaces/record.ts"
import { endReplacement, observeReplacement } from "../root-volumes/observe.ts"
import { volumeKind } from "../volumes/record.ts"
import { toNumber } from "../vpcs/addresses.ts"
import { assignGuest, ownInterfaces } from "./assignment.ts"
import { noteChecks } from "./checks.ts"
import { lostReason, stoppedReason } from "./hibernation.ts"
import { terminate } from "./lifecycle.ts"
import { instanceKind, type InstanceRecord } from "./record.ts"

type InstanceResource = Resource<InstanceRecord>

/** A guest was seen. Commits through the call, at most once. */
export async function observeGuest(call: Call, id: string, status: GuestStatus): Promise<void> {
  const instance = await call.find(instanceKind, id)
  if (instance === undefined) return
  const { record } = instance
  if (record.state === "shutting-down") {
    if (status.phase === "absent") await finishTermination(call, instance)
    return
  }
  // A stop may overtake the start before it, which then never counts.
  if (record.state === "stopping" && status.phase === "off")
    return becomeStopped(call, instance, stoppedReason(record, status), status.hibernated)
  // An answer to an earlier start says nothing of this one.
  if (status.starts !== record.starts) return
  if (await observeReplacement(call, instance, status)) return
  if (record.state === "pending" && status.trouble?.final === true) return failStart(call, instance, status.trouble)
  if (record.state === "pending" && status.phase === "on") return becomeRunning(call, instance, status)
  const ended = status.phase === "off"
  // A machine that was lost is no stop: the instance is impaired until it is recovered or stopped.
  if (record.state === "running" && (!ended || status.trouble?.code === "crashed")) return note(call, instance, status)
  if ((record.state === "running" || record.state === "pending") && ended) return leftByItself(call, instance, status)
}

/** Seen by DescribeInstanceStatus. Other troubles are the host's own and leave the guest running. */
async function note(call: Call, instance: InstanceResource, status: GuestStatus): Promise<void> {
  const noted = noteChecks(instance.record, status, call.nowMs)
  if (noted === instance.record) return
  call.draft.update(instanceKind, instance, noted)
  await call.commit()
}

async function becomeRunning(call: Call, instance: InstanceResource, status: GuestStatus): Promise<void> {
  const { hibernate: _, ...record } = noteChecks(instance.record, status, call.nowMs)
  call.draft.update(instanceKind, instance, {
    ...record,
    ...lostReason(status.memoryLost),
    state: "running",
    runningMs: call.nowMs,
    blockDevices: record.blockDevices.map((device) => ({ ...device, status: "attached" as const })),
    ...(status.machineVersion === undefined ? {} : { machineVersion: status.machineVersion }),
  })
  const interfaces = await call.load(networkInterfaceKind, record.networkInterfaces)
  for (const resource of ownInterfaces(instance, interfaces)) {
    const { attachment } = resource.record
    if (attachment?.status === "attaching")
      call.draft.update(networkInterfaceKind, resource, {
        ...resource.record,
        attachment: { ...attachment, status: "attached" },
      })
  }
  const volumes = await call.load(
    volumeKind,
    record.blockDevices.map((device) => device.volume),
  )
  for (const volume of volumes.values()) {
    const { attachment } = volume.record
    if (attachment?.status === "attaching" || volume.record.state === "creating")
      call.draft.update(volumeKind, volume, {
        ...volume.record,
        state: "in-use",
        ...(attachment === undefined ? {} : { attachment: { ...attachment, status: "attached" } }),
      })
  }
  call.draft.event("instance-state", instance.id, { state: "running" })
  await call.commit()
}

/** The record without what only a running instance has; its seat in a reservation is free with the commit. */
async function afterRunning(call: Call, instance: InstanceResource) {
  const {
    publicAddress: _a,
    publicDnsName: _d,
    runningMs: _r,
    impaired: _i,
    checks: _c,
    ...found
  } = withoutSeat(call, await endReplacement(call, instance.record, false))
  return found
}

/** `memoryKept`: what the host keeps of it stays until it runs again. */
async function becomeStopped(
  call: Call,
  instance: InstanceResource,
  reason: Partial<InstanceRecord>,
  memoryKept: boolean = false,
): Promise<void> {
  const interfaces = await call.load(networkInterfaceKind, instance.record.networkInterfaces)
  const own = ownInterfaces(instance, interfaces).map((resource) => releaseAutoAddress(call, resource))
  const found = await afterRunning(call, instance)
  const { hibernate: _h, ...record } = found
  const kept = own[0]?.record.publicAddress?.address
  const stopped = call.draft.update(instanceKind, instance, {
    ...(memoryKept ? found : record),
    ...reason,
    state: "stopped" as const,
    ...(kept === undefined ? {} : { publicAddress: kept }),
    ...(kept === undefined || instance.record.publicDnsName === undefined
      ? {}
      : { publicDnsName: instance.record.publicDnsName }),
  })
  assignGuest(call, stopped, own)
  call.draft.event("instance-state", instance.id, {
    state: "stopped",
    ...(stopped.record.hibernate && { memory: "kept" }),
  })
  await call.commit()
}

/** A public address that came with the launch goes back to the pool; an Elastic IP stays. */
function releaseAutoAddress(call: Call, resource: Resource<NetworkInterfaceRecord>): Resource<NetworkInterfaceRecord> {
  const { publicAddress, ...record } = resource.record
  if (publicAddress === undefined || publicAddress.allocation !== undefined) return resource
  call.draft.release(publicAddressScope, toNumber(publicAddress.address))
  return call.draft.update(networkInterfaceKind, resource, record)
}

/** The guest powered itself off, or its process is gone though nobody asked. */
async function leftByItself(call: Call, instance: InstanceResource, status: GuestStatus): Promise<void> {
  if (status.cause === "guest-shutdown") {
    const reason = {
      transitionReason: "",
      stateReason: {
        code: "Client.InstanceInitiatedShutdown",
        message: "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
      },
    }
    if (instance.record.attributes.shutdownBehavior === "terminate") {
      terminate(call, instance, reason)
      return call.commit()
    }
    return becomeStopped(call, instance, reason)
  }
  return becomeStopped(call, instance, {
    transitionReason: "Server.InternalError",
    stateReason: {
      code: "Server.InternalError",
      message: `Server.InternalError: The machine ended (${status.cause ?? "unknown"})`,
    },
  })
}

/** A first launch that cannot be carried out ends the instance; a later start leaves it stopped, with its volumes. */
async function failStart(call: Call, instance: InstanceResource, { code, message }: Trouble): Promise<void> {
  // "Troubleshoot Amazon EC2 instance launch issues": so it is told where the key of an encrypted volume cannot be used.
  const [side, why] = code === "no-key" ? ["Client", "Client error on launch"] : ["Server", message]
  const reason = {
    transitionReason: `${side}.InternalError`,
    stateReason: { code: `${side}.InternalError`, message: `${side}.InternalError: ${why}` },
  }
  if (instance.record.starts > 1) return becomeStopped(call, instance, reason, true)
  terminate(call, instance, reason)
  await call.commit()
}

/** The guest is gone: its interfaces and volumes go or stay as their DeleteOnTermination says; the record is seen for an hour more. */
async function finishTermination(call: Call, instance: InstanceResource): Promise<void> {
  const { draft } = call
  const { hibernate: _h, ...record } = await afterRunning(call, instance)
  const interfaces = await call.load(networkInterfaceKind, record.networkInterfaces)
  for (const resource of interfaces.values()) {
    const stays = resource.record.attachment?.deleteOnTermination === false
    for (const { allocation } of publicAddressesOf(resource.record))
      if (allocation !== undefined) await (stays ? leaveInstance(call, allocation) : forget(call, allocation))
    if (!stays) {
      draft.remove(resource)
      continue
    }
    const released = releaseAutoAddress(call, resource)
    const { attachment: _, ...detached } = released.record
    draft.update(networkInterfaceKind, resource, detached)
  }
  const volumes = await call.load(
    volumeKind,
    record.blockDevices.map((device) => device.volume),
  )
  for (const volume of volumes.values()) {
    const { attachment, ...detached } = volume.record
    if (attachment?.deleteOnTermination === false) draft.update(volumeKind, volume, { ...detached, state: "available" })
    else {
      draft.remove(volume)
      draft.unassign(localHost, volume.id)
    }
  }
  draft.update(instanceKind, instance, {
    ...record,
    state: "terminated",
    terminatedMs: call.nowMs,
    blockDevices: [],
    networkInterfaces: [],
    groups: [],
    address: "",
    dnsName: "",
  })
  await leaveEventWindow(call, instance.id)
  draft.release("guest-number", record.number)
  draft.event("instance-state", instance.id, { state: "terminated" })
  await call.commit()
}

/** A volume was seen: one that is nobody's becomes available when its bytes are there. */
export async function observeVolume(call: Call, id: string, status: PlainStatus): Promise<void> {
  const volume = await call.find(volumeKind, id)
  if (
    volume === undefined ||
    volume.record.state !== "creating" ||
    status.phase !== "ready" ||
    volume.record.attachment !== undefined
  )
    return
  call.draft.update(volumeKind, volume, { ...volume.record, state: "available" })
  await call.commit()
}
