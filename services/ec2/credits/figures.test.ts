/** Every burstable type that there is has figures, and a host is told of them. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { instanceTypeNames, readInstanceTypes } from "../instance-types/data.ts"
import { cpuAccountOf } from "./figures.ts"

test("each burstable type earns what EC2's table says of it, and no other type has an account", () => {
  for (const { InstanceType: type = "", BurstablePerformanceSupported, VCpuInfo } of readInstanceTypes(
    instanceTypeNames(),
  )) {
    const account = cpuAccountOf(type, VCpuInfo?.DefaultVCpus ?? 1, "standard")
    assert.equal(account !== undefined, BurstablePerformanceSupported === true, type)
    if (account)
      assert.ok(account.perHour / 60 < (VCpuInfo?.DefaultVCpus ?? 0) / 2, `${type} has a baseline below a half`)
  }
  const week = 7 * 24 * 3_600_000
  const standard = { perHour: 12, most: 288, atStart: 0, keptMs: week, surplus: false }
  assert.deepEqual(cpuAccountOf("t3.micro", 2, "standard"), standard)
  assert.deepEqual(cpuAccountOf("t4g.micro", 2, "unlimited"), { ...standard, surplus: true })
  const t2 = { perHour: 24, most: 576, atStart: 60, keptMs: 0, surplus: false }
  assert.deepEqual(cpuAccountOf("t2.medium", 2, "standard"), t2)
  assert.deepEqual(cpuAccountOf("t2.medium", 2, "unlimited"), { ...t2, atStart: 0, surplus: true })
  assert.equal(cpuAccountOf("t3.toString", 2, "standard"), undefined)
})
