/** DescribeInstanceAttribute. An attribute without a value is an empty element, as on EC2. */
import type { InstanceAttribute, InstanceAttributeName } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { raise } from "../../errors.ts"
import type { Handler } from "../../handler.ts"
import { toBlockDeviceMappings, toGroups } from "../answer.ts"
import { instanceKind, type InstanceRecord } from "../record.ts"

type Show = (instance: Resource<InstanceRecord>) => Omit<InstanceAttribute, "InstanceId">

/** Guests boot by firmware from their root volume: no kernel, RAM disk or enclave is ever theirs, and no product is sold here. */
const shown: Readonly<Record<InstanceAttributeName, Show>> = {
  blockDeviceMapping: ({ record }) => ({ BlockDeviceMappings: toBlockDeviceMappings(record) }),
  disableApiStop: ({ record }) => ({ DisableApiStop: { Value: record.attributes.disableApiStop } }),
  disableApiTermination: ({ record }) => ({
    DisableApiTermination: { Value: record.attributes.disableApiTermination },
  }),
  ebsOptimized: ({ record }) => ({ EbsOptimized: { Value: record.attributes.ebsOptimized } }),
  enaSupport: ({ record }) => ({ EnaSupport: { Value: record.attributes.enaSupport } }),
  enclaveOptions: () => ({ EnclaveOptions: { Enabled: false } }),
  groupSet: ({ record }) => ({ Groups: toGroups(record) }),
  instanceInitiatedShutdownBehavior: ({ record }) => ({
    InstanceInitiatedShutdownBehavior: { Value: record.attributes.shutdownBehavior },
  }),
  instanceType: ({ record }) => ({ InstanceType: { Value: record.type } }),
  kernel: () => ({ KernelId: {} }),
  productCodes: () => ({ ProductCodes: [] }),
  ramdisk: () => ({ RamdiskId: {} }),
  rootDeviceName: ({ record }) => ({ RootDeviceName: { Value: record.rootDevice } }),
  sourceDestCheck: ({ record }) => ({ SourceDestCheck: { Value: record.attributes.sourceDestCheck } }),
  sriovNetSupport: ({ record }) => ({ SriovNetSupport: optional(record.attributes.sriovNetSupport) }),
  userData: ({ record }) => ({ UserData: optional(record.userData) }),
}

const optional = (value: string | undefined) => (value === undefined ? {} : { Value: value })

export const describeInstanceAttribute: Handler<"DescribeInstanceAttribute"> = async (input, call) => {
  if (!isAttribute(input.Attribute)) throw badAttribute(input.Attribute)
  const instance = await call.require(instanceKind, input.InstanceId, "InstanceId")
  return { InstanceId: instance.id, ...shown[input.Attribute](instance) }
}

/** True for the name of an attribute of instances. */
export function isAttribute(name: string | undefined): name is InstanceAttributeName {
  return name !== undefined && Object.hasOwn(shown, name)
}

export function badAttribute(name: string | undefined) {
  return name === undefined
    ? raise("MissingParameter", { name: "Attribute" })
    : raise("InvalidParameterValue", {
        detail: `Value (${name}) for parameter attribute is invalid. Unknown attribute.`,
      })
}
