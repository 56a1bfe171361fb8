/**
 * Hibernation: which launches may ask for it, and how an instance stands to it. "Prerequisites for EC2 instance hibernation" in the user
 * guide; what it asks of the guest's software is not needed here, since the host saves the memory.
 */
import { Fault } from "#lib/fault.ts"
import { raise } from "../errors.ts"
import { findInstanceType } from "../instance-types/data.ts"
import type { InstanceRecord } from "./record.ts"

/** GiB of memory, by platform. */
const mostMemory = { linux: 150, windows: 16 }
const rootTypes: readonly string[] = ["gp2", "gp3", "io1", "io2"]

/** Throws UnsupportedHibernationConfiguration for a type whose instances cannot hibernate. */
export function requireHibernatingType(name: string, platform: InstanceRecord["platform"]): void {
  const type = findInstanceType(name)
  if (type?.HibernationSupported !== true) throw unsupported(`The instance type ${name} does not support hibernation.`)
  const most = mostMemory[platform ?? "linux"]
  if ((type.MemoryInfo?.SizeInMiB ?? 0) > most * 1024)
    throw unsupported(`An instance with more than ${most} GiB of memory cannot be hibernated; ${name} has more.`)
}

export interface RootVolume {
  readonly sizeGiB: number
  readonly type: string
  readonly encrypted: boolean
}

/** As above, for what a launch says of its root volume. */
export function requireHibernatingRoot(root: RootVolume, memoryMiB: number): void {
  if (!root.encrypted) throw unsupported("For hibernation, the root device volume must be encrypted.")
  if (!rootTypes.includes(root.type))
    throw unsupported(`For hibernation, the root device volume must be one of ${rootTypes.join(", ")}.`)
  if (root.sizeGiB * 1024 < memoryMiB)
    throw unsupported(
      `For hibernation, the root device volume must have room for the memory of ${memoryMiB} MiB; it has ${root.sizeGiB} GiB.`,
    )
}

/** Whether an instance may be stopped so. One that is no more running is left to the state's own rules. */
export function requireHibernatable(id: string, record: InstanceRecord): void {
  if (record.hibernationConfigured !== true)
    throw unsupported(`The instance can't be hibernated because it was not configured at launch for hibernation: ${id}`)
  if (record.state === "pending")
    // The row of this code is about operations that are missing here.
    throw new Fault("UnsupportedOperation", `Instance ${id} is not ready to hibernate yet, retry in a few minutes.`)
}

/** Whether its memory is kept while it is stopped. */
export const isHibernated = ({ state, hibernate }: InstanceRecord): boolean => state === "stopped" && hibernate === true

const unsupported = (detail: string) => raise("UnsupportedHibernationConfiguration", { detail })

/** Of an instance that stopped: with its memory kept, as was asked for, or not; then the reason says why. */
export function stoppedReason(
  record: InstanceRecord,
  seen: { readonly hibernated?: true; readonly memoryLost?: string },
): Pick<InstanceRecord, "stateReason"> {
  if (record.hibernate !== true || seen.hibernated === true) return {}
  const why = seen.memoryLost ?? "the guest ended before it could be kept"
  const code = "Client.UserInitiatedShutdown"
  return { stateReason: { code, message: `${code}: User initiated shutdown; its memory was not kept: ${why}` } }
}

/** Of an instance that runs again without the memory that was kept of it. EC2's own guests boot then, too. */
export function lostReason(memoryLost: string | undefined): Pick<InstanceRecord, "stateReason"> {
  if (memoryLost === undefined) return {}
  const message = `Server.InternalError: It booted, since its hibernated memory could not be used: ${memoryLost}`
  return { stateReason: { code: "Server.InternalError", message } }
}
