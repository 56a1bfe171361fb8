/**
 * CpuOptions of a launch, and ModifyInstanceCpuOptions of a stopped instance: how many of its type's vCPUs are on ("Rules for specifying CPU
 * options" of the user guide). The machine gets cores times threads vCPUs; all of them are cores to the guest.
 */
import { Fault } from "#lib/fault.ts"
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { findInstanceType } from "../instance-types/data.ts"
import { reassignGuest } from "./assignment.ts"
import { requireStopped } from "./attributes/modify.ts"
import { isHibernated } from "./hibernation.ts"
import { instanceKind, type CpuOptions, type InstanceRecord } from "./record.ts"

/** In EC2's own words. */
const incomplete = () =>
  new Fault("MissingParameter", "When specifying CpuOptions you must specify both CoreCount and ThreadsPerCore.")

interface Given {
  readonly CoreCount?: number | undefined
  readonly ThreadsPerCore?: number | undefined
  readonly AmdSevSnp?: string | undefined
  readonly NestedVirtualization?: string | undefined
}

/** What is asked for, or undefined for what the type has. MissingParameter for one of the two alone, UnsupportedOperation for what guests have not. */
export function readCpuOptions(operation: string, given: Given | undefined): CpuOptions | undefined {
  if (given === undefined) return undefined
  for (const name of ["AmdSevSnp", "NestedVirtualization"] as const)
    if (given[name] === "enabled")
      throw raise("UnsupportedOperation", { operation: `${operation} with ${name}=enabled` })
    else if (given[name] !== undefined && given[name] !== "disabled")
      throw raise("InvalidParameterValue", {
        detail: `Value (${given[name]}) for parameter ${name} is invalid. Expected: disabled, enabled.`,
      })
  const { CoreCount: cores, ThreadsPerCore: threads } = given
  if (cores === undefined && threads === undefined) return undefined
  if (cores === undefined || threads === undefined) throw incomplete()
  return { cores, threads }
}

/**
 * The vCPUs that a type has with these options. What is usual for a type can always be asked for, but of bare metal. Unsupported for a type whose
 * vCPUs cannot be chosen, InvalidParameterValue for what is not among its valid cores and threads.
 */
export function chosenVcpus(type: string, { cores, threads }: CpuOptions): number {
  const facts = findInstanceType(type)
  const { DefaultCores, DefaultThreadsPerCore, ValidCores, ValidThreadsPerCore } = facts?.VCpuInfo ?? {}
  const usual = cores === DefaultCores && threads === DefaultThreadsPerCore
  if (facts?.BareMetal === true || (ValidCores === undefined && !usual))
    throw raise("Unsupported", { detail: `The instance type '${type}' does not support CPU options.` })
  if (!usual && !(ValidCores?.includes(cores) && ValidThreadsPerCore?.includes(threads)))
    throw raise("InvalidParameterValue", {
      detail: `CoreCount ${cores} with ThreadsPerCore ${threads} is not valid for the instance type '${type}'. Valid are: CoreCount ${(ValidCores ?? [DefaultCores]).join(", ")}; ThreadsPerCore ${(ValidThreadsPerCore ?? [DefaultThreadsPerCore]).join(", ")}.`,
    })
  return cores * threads
}

/** As answers show it: what was chosen, or what the type has. */
export function toCpuOptions({ type, vcpus, cpu }: Pick<InstanceRecord, "type" | "vcpus" | "cpu">) {
  const { DefaultCores, DefaultThreadsPerCore } = findInstanceType(type)?.VCpuInfo ?? {}
  return {
    CoreCount: cpu?.cores ?? DefaultCores ?? vcpus,
    ThreadsPerCore: cpu?.threads ?? DefaultThreadsPerCore ?? 1,
  }
}

/** Of a stopped instance, for its next start. */
export const modifyInstanceCpuOptions: Handler<"ModifyInstanceCpuOptions"> = async (input, call) => {
  const wanted = readCpuOptions("ModifyInstanceCpuOptions", input)
  if (wanted === undefined && input.NestedVirtualization === undefined) throw incomplete()
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstanceCpuOptions", instance)
  requireStopped(instance)
  if (isHibernated(instance.record))
    throw raise("IncorrectInstanceState", {
      detail: `The instance '${instance.id}' is hibernated: its CPU options cannot be modified. Start it and stop it first.`,
    })
  const changed =
    wanted === undefined
      ? instance
      : call.draft.update(instanceKind, instance, {
          ...instance.record,
          vcpus: chosenVcpus(instance.record.type, wanted),
          cpu: wanted,
        })
  if (changed !== instance) await reassignGuest(call, changed)
  await call.commit()
  return { InstanceId: instance.id, ...toCpuOptions(changed.record), NestedVirtualization: "disabled" }
}
