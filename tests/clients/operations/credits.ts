import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nobody = "i-00000000000000000"

async function creditsOf({ ec2 }: TestCloud, ...ids: readonly string[]): Promise<readonly (string | undefined)[]> {
  const { InstanceCreditSpecifications = [] } = await ec2("DescribeInstanceCreditSpecifications", {
    InstanceIds: [...ids],
  })
  return ids.map((id) => InstanceCreditSpecifications.find((each) => each.InstanceId === id)?.CpuCredits)
}

export const credits = {
  async DescribeInstanceCreditSpecifications(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "DescribeInstanceCreditSpecifications"
    const [t3] = await launch()
    const [t2] = await launch({ InstanceType: "t2.micro" })
    const [standard] = await launch({ CreditSpecification: { CpuCredits: "standard" } })
    const [m5] = await launch({ InstanceType: "m5.large" })
    assert.deepEqual(await creditsOf(cloud, t3, t2, standard), ["unlimited", "standard", "standard"])
    assert.equal(await refusal(operation, { InstanceIds: [m5] }), "400 InstanceCreditSpecification.NotSupported")
    assert.equal(await refusal(operation, { InstanceIds: [nobody] }), "400 InvalidInstanceID.NotFound")
    // Without ids: those that are unlimited, also when they have become of another type.
    await ec2("StopInstances", { InstanceIds: [t3] })
    await daemon.settled()
    await ec2("ModifyInstanceAttribute", { InstanceId: t3, InstanceType: { Value: "m5.large" } })
    const Filters = [{ Name: "instance-id", Values: [t3, t2, standard, m5] }]
    const { InstanceCreditSpecifications: unlimited } = await ec2(operation, { Filters })
    assert.deepEqual(unlimited, [{ InstanceId: t3, CpuCredits: "unlimited" }])
    const wrong = { Filters: [{ Name: "cpu-credits", Values: ["standard"] }] }
    assert.equal(await refusal(operation, wrong), "400 InvalidParameterValue")
    const run = { ImageId: cloud.image, MinCount: 1, MaxCount: 1, InstanceType: "m5.large" } as const
    const given = { ...run, CreditSpecification: { CpuCredits: "standard" } }
    assert.equal(await refusal("RunInstances", given), "400 InvalidParameterCombination")
  },

  async ModifyInstanceCreditSpecification(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const operation = "ModifyInstanceCreditSpecification"
    const [first] = await launch()
    const [second] = await launch()
    const [m5] = await launch({ InstanceType: "m5.large" })
    const [gone] = await launch()
    await ec2("TerminateInstances", { InstanceIds: [gone] })
    await daemon.settled()
    const item = (InstanceId: string, CpuCredits?: string) => ({ InstanceId, ...(CpuCredits ? { CpuCredits } : {}) })
    const request = {
      ClientToken: "operations-credits",
      InstanceCreditSpecifications: [first, m5, gone, nobody, "i-x"].map((id) => item(id, "standard")),
    }
    assert.equal(await refusal(operation, { ...request, DryRun: true }), "412 DryRunOperation")
    const answer = await ec2(operation, request)
    assert.deepEqual(answer.SuccessfulInstanceCreditSpecifications, [{ InstanceId: first }])
    assert.deepEqual(
      answer.UnsuccessfulInstanceCreditSpecifications?.map((each) => [each.InstanceId, each.Error?.Code]),
      [
        [m5, "InstanceCreditSpecification.NotSupported"],
        [gone, "IncorrectInstanceState"],
        [nobody, "InvalidInstanceID.NotFound"],
        ["i-x", "InvalidInstanceID.Malformed"],
      ],
    )
    assert.deepEqual(await creditsOf(cloud, first, second), ["standard", "unlimited"])
    // No option is the family's default. The token then answers again and changes nothing.
    await ec2(operation, { InstanceCreditSpecifications: [item(first)] })
    assert.deepEqual(await ec2(operation, request), answer)
    assert.deepEqual(await creditsOf(cloud, first), ["unlimited"])
    const other = { ...request, InstanceCreditSpecifications: [item(second, "standard")] }
    assert.equal(await refusal(operation, other), "400 IdempotentParameterMismatch")
    const refused = (...items: object[]) => refusal(operation, { InstanceCreditSpecifications: items as never })
    assert.equal(await refused(item(first, "endless")), "400 InvalidParameterValue")
    assert.equal(await refused(item(first), item(first, "standard")), "400 InvalidParameterValue")
    assert.equal(await refused(), "400 MissingParameter")
  },

  async GetDefaultCreditSpecification({ ec2, refusal }) {
    const of = async (InstanceFamily: "t2" | "t3a" | "t4g") =>
      (await ec2("GetDefaultCreditSpecification", { InstanceFamily })).InstanceFamilyCreditSpecification
    assert.deepEqual(await of("t2"), { InstanceFamily: "t2", CpuCredits: "standard" })
    assert.deepEqual(await of("t3a"), { InstanceFamily: "t3a", CpuCredits: "unlimited" })
    assert.deepEqual(await of("t4g"), { InstanceFamily: "t4g", CpuCredits: "unlimited" })
    const m5 = { InstanceFamily: "m5" as never }
    assert.equal(await refusal("GetDefaultCreditSpecification", m5), "400 InvalidParameterValue")
  },

  async ModifyDefaultCreditSpecification(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ModifyDefaultCreditSpecification"
    const t2 = { InstanceFamily: "t2", CpuCredits: "unlimited" } as const
    assert.equal(await refusal(operation, { ...t2, DryRun: true }), "412 DryRunOperation")
    const [before] = await launch({ InstanceType: "t2.micro" })
    assert.deepEqual((await ec2(operation, t2)).InstanceFamilyCreditSpecification, t2)
    const { InstanceFamilyCreditSpecification } = await ec2("GetDefaultCreditSpecification", { InstanceFamily: "t2" })
    assert.deepEqual(InstanceFamilyCreditSpecification, t2)
    const [after] = await launch({ InstanceType: "t2.micro" })
    await ec2(operation, { ...t2, CpuCredits: "standard" })
    assert.deepEqual(await creditsOf(cloud, before, after), ["standard", "unlimited"])
    assert.equal(await refusal(operation, { ...t2, CpuCredits: "endless" }), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, { ...t2, InstanceFamily: "m5" as never }), "400 InvalidParameterValue")
  },
} satisfies Checks
