/** A quota that was raised is felt by the next launch on sim; on real machines it is the operator's to give. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Cloud } from "#cloud/call.ts"
import { imageIdOf } from "#images/catalog.ts"
import { openRig } from "#tests/ec2/rig.ts"
import { registerPublicImages } from "../ec2/images/register.ts"
import { createEc2 } from "../ec2/service.ts"
import { createService } from "./service.ts"

const name = "fractus-micro-test-x86_64"
const standard = { ServiceCode: "ec2", QuotaCode: "L-1216C47A" }

/** A cloud with a limit, and its answers: an error's code, or what was asked of the answer. */
function rigOf(cloud: Cloud) {
  const services = { ec2: createEc2(cloud), quotas: createService(cloud) }
  const caller = { account: "123456789012", arn: "arn:aws:iam::123456789012:root", userId: "123456789012" }
  return async (service: keyof typeof services, operation: string, input: object): Promise<Record<string, unknown>> => {
    const info = { requestId: "r", operation, region: "us-east-1", caller }
    const answer = await services[service]
      .dispatch(operation, input, info)
      .catch((error: { code: string }) => ({ code: error.code }))
    return answer as Record<string, unknown>
  }
}

test("an increase lets more run on sim", async (t) => {
  const { cloud } = await openRig(t)
  const image = {
    id: imageIdOf(name),
    name,
    description: "",
    architecture: "x86_64",
    rootDeviceName: "/dev/xvda",
    sizeBytes: 2 ** 30,
    createdMs: 0,
  } as const
  await registerPublicImages(cloud, [image])
  const ask = rigOf({ ...cloud, settings: { ...cloud.settings, engine: "sim", vcpuLimit: 2 } })
  const run = { ImageId: image.id, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 }
  assert.ok((await ask("ec2", "RunInstances", run))["Instances"])
  assert.deepEqual(await ask("ec2", "RunInstances", run), { code: "VcpuLimitExceeded" })
  await ask("quotas", "RequestServiceQuotaIncrease", { ...standard, DesiredValue: 4 })
  assert.ok((await ask("ec2", "RunInstances", run))["Instances"])
  assert.deepEqual(await ask("ec2", "RunInstances", run), { code: "VcpuLimitExceeded" })
})

test("on real machines it waits for the operator, one request at a time", async (t) => {
  const { cloud } = await openRig(t)
  const withLimit = (vcpuLimit: number) =>
    rigOf({ ...cloud, settings: { ...cloud.settings, engine: "qemu", vcpuLimit } })
  const before = withLimit(2)
  const wanted = { ...standard, DesiredValue: 4 }
  const { RequestedQuota } = (await before("quotas", "RequestServiceQuotaIncrease", wanted)) as {
    RequestedQuota: { Id: string; Status: string }
  }
  assert.equal(RequestedQuota.Status, "PENDING")
  assert.deepEqual(await before("quotas", "RequestServiceQuotaIncrease", wanted), {
    code: "ResourceAlreadyExistsException",
  })
  const asked = { RequestId: RequestedQuota.Id }
  const status = async (vcpuLimit: number) => {
    const answer = await withLimit(vcpuLimit)("quotas", "GetRequestedServiceQuotaChange", asked)
    return (answer["RequestedQuota"] as { Status: string }).Status
  }
  assert.deepEqual([await status(3), await status(4)], ["PENDING", "APPROVED"])
})

test("without a limit there is no quota of vCPUs to show", async (t) => {
  const { cloud } = await openRig(t)
  assert.deepEqual(await rigOf(cloud)("quotas", "GetServiceQuota", standard), { code: "NoSuchResourceException" })
})
