/** ModifyInstanceAttribute: one attribute a call, as the member of its name, or as Attribute with Value like older clients send it. */
import type { InstanceAttributeName } from "@aws-sdk/client-ec2"
import type { Call } from "#cloud/call.ts"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../../errors.ts"
import type { Handler, Input } from "../../handler.ts"
import { notInState } from "../lifecycle.ts"
import { instanceKind, type InstanceRecord } from "../record.ts"
import { setAttributes, setDevices, setGroups, setSourceDestCheck, setType, setUserData } from "./changes.ts"
import { badAttribute, isAttribute } from "./describe.ts"

type Modify = Input<"ModifyInstanceAttribute">
type Change = (call: Call, instance: Resource<InstanceRecord>) => Promise<void> | void

interface Modifiable {
  /** The state "stopped" is asked for. */
  readonly stopped?: true
  /** What the request wants of this attribute, undefined if nothing. `value` is the older form's. Throws for what it cannot be. */
  read(input: Modify, value: string | undefined): Change | undefined
}

/** What is not listed cannot be modified: product codes and the name of the root device. */
const modifiable: { readonly [A in InstanceAttributeName]?: Modifiable } = {
  blockDeviceMapping: {
    read: ({ BlockDeviceMappings: given = [] }) =>
      given.length === 0 ? undefined : (call, instance) => setDevices(call, instance, given),
  },
  disableApiStop: flag(
    (input) => input.DisableApiStop?.Value,
    (disableApiStop) => set({ disableApiStop }),
  ),
  disableApiTermination: flag(
    (input) => input.DisableApiTermination?.Value,
    (disableApiTermination) => set({ disableApiTermination }),
  ),
  ebsOptimized: {
    stopped: true,
    ...flag(
      (input) => input.EbsOptimized?.Value,
      (ebsOptimized) => set({ ebsOptimized }),
    ),
  },
  enaSupport: {
    stopped: true,
    ...flag(
      (input) => input.EnaSupport?.Value,
      (enaSupport) => set({ enaSupport }),
    ),
  },
  enclaveOptions: {
    stopped: true,
    read({ EnclaveOptions: options }) {
      if (options?.Enabled === true)
        throw raise("UnsupportedOperation", { operation: "ModifyInstanceAttribute with EnclaveOptions.Enabled" })
      return options?.Enabled === undefined ? undefined : () => {}
    },
  },
  groupSet: {
    read: ({ Groups: ids = [] }) => (ids.length === 0 ? undefined : (call, instance) => setGroups(call, instance, ids)),
  },
  instanceInitiatedShutdownBehavior: text(
    (input) => input.InstanceInitiatedShutdownBehavior?.Value,
    (value) => {
      if (value === "stop" || value === "terminate") return set({ shutdownBehavior: value })
      throw invalid(value, "instanceInitiatedShutdownBehavior", "stop, terminate")
    },
  ),
  instanceType: {
    stopped: true,
    ...text(
      (input) => input.InstanceType?.Value,
      (name) => (call, instance) => setType(call, instance, name),
    ),
  },
  kernel: {
    stopped: true,
    ...text(
      (input) => input.Kernel?.Value,
      () => notDone("Kernel"),
    ),
  },
  ramdisk: {
    stopped: true,
    ...text(
      (input) => input.Ramdisk?.Value,
      () => notDone("Ramdisk"),
    ),
  },
  sourceDestCheck: flag(
    (input) => input.SourceDestCheck?.Value,
    (value) => (call, instance) => setSourceDestCheck(call, instance, value),
  ),
  sriovNetSupport: {
    stopped: true,
    ...text(
      (input) => input.SriovNetSupport?.Value,
      (value) => {
        if (value === "simple") return set({ sriovNetSupport: value })
        throw invalid(value, "sriovNetSupport", "simple")
      },
    ),
  },
  userData: {
    stopped: true,
    read({ UserData: data }, value) {
      const base64 = data?.Value === undefined ? value : Buffer.from(data.Value).toString("base64")
      return base64 === undefined ? undefined : (call, instance) => setUserData(call, instance, base64)
    },
  },
}

/** IncorrectInstanceState where the attribute asks for a stopped instance, and for one that ends. */
export const modifyInstanceAttribute: Handler<"ModifyInstanceAttribute"> = async (input, call) => {
  const { attribute, change } = readChange(input)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  call.authorize("ec2:ModifyInstanceAttribute", instance)
  const { state } = instance.record
  if (state === "terminated" || state === "shutting-down") throw notInState(instance.id, "modified")
  if (modifiable[attribute]?.stopped === true) requireStopped(instance)
  await change(call, instance)
  await call.commit()
  return {}
}

export function requireStopped({ id, record }: Resource<InstanceRecord>): void {
  if (record.state !== "stopped")
    throw raise("IncorrectInstanceState", { detail: `The instance '${id}' is not in the 'stopped' state.` })
}

function readChange(input: Modify): { readonly attribute: InstanceAttributeName; readonly change: Change } {
  const named = input.Attribute
  if (named !== undefined && (!isAttribute(named) || modifiable[named] === undefined)) throw badAttribute(named)
  const found: { attribute: InstanceAttributeName; change: Change }[] = []
  for (const attribute of Object.keys(modifiable).filter(isAttribute)) {
    const change = modifiable[attribute]?.read(input, attribute === named ? input.Value : undefined)
    if (change !== undefined) found.push({ attribute, change })
  }
  const [first, ...others] = found
  if (first === undefined)
    throw named === undefined
      ? raise("InvalidParameterCombination", { detail: "No attributes specified." })
      : raise("MissingParameter", { name: "Value" })
  if (others.length > 0 || (named !== undefined && named !== first.attribute))
    throw raise("InvalidParameterCombination", { detail: "Fields for multiple attribute types specified" })
  return first
}

function flag(member: (input: Modify) => boolean | undefined, change: (value: boolean) => Change): Modifiable {
  return {
    read(input, value) {
      const given = member(input) ?? readBoolean(value)
      return given === undefined ? undefined : change(given)
    },
  }
}

function text(member: (input: Modify) => string | undefined, change: (value: string) => Change): Modifiable {
  return {
    read(input, value) {
      const given = member(input) ?? value
      return given === undefined ? undefined : change(given)
    },
  }
}

function readBoolean(value: string | undefined): boolean | undefined {
  if (value === undefined) return undefined
  if (value !== "true" && value !== "false") throw invalid(value, "value", "true, false")
  return value === "true"
}

function set(attributes: Parameters<typeof setAttributes>[2]): Change {
  return (call, instance) => setAttributes(call, instance, attributes)
}

/** Guests here are HVM and boot by firmware. */
function notDone(member: string): never {
  throw raise("UnsupportedOperation", { operation: `ModifyInstanceAttribute with ${member}` })
}

function invalid(value: string, parameter: string, expected: string) {
  return raise("InvalidParameterValue", {
    detail: `Value (${value}) for parameter ${parameter} is invalid. Expected: ${expected}.`,
  })
}
