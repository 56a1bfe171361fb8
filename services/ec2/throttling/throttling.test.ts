/** Buckets by an injected clock, and what clients make of a refusal. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { DescribeInstanceTopologyCommand, EC2Client } from "@aws-sdk/client-ec2"
import { Fault } from "#lib/fault.ts"
import { createEc2 } from "#services/ec2/service.ts"
import { openRig } from "#tests/ec2/rig.ts"
import { startSimDaemon } from "#tests/rig/daemon.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { listedApis, requestLimit, resourceLimit } from "./limits.ts"

test("every API has its documented bucket, per account and region, and it fills up again", async (t) => {
  const rig = await openRig(t)
  let nowMs = 1000
  const clock = { ...rig.cloud.clock, monotonicMs: () => nowMs }
  const ec2 = createEc2({ ...rig.cloud, clock, settings: { ...rig.cloud.settings, throttle: true } })
  const call = async (operation: string, input: object, account = "123456789012", region = "us-east-1") => {
    const caller = { account, arn: `arn:aws:iam::${account}:root`, userId: account }
    try {
      await ec2.dispatch(operation, input, { requestId: "r", operation, region, caller })
      return "served"
    } catch (error) {
      if (error instanceof Fault) return `${error.status} ${error.code}`
      throw error
    }
  }
  /** How many of these calls are let through before the first that is not. */
  const untilRefused = async (operation: string, input: object) => {
    for (let count = 0; count <= 150; count++)
      if ((await call(operation, input)) === "503 RequestLimitExceeded") return count
    return Infinity
  }
  const unknown = { InstanceIds: ["i-00000000000000000"] }
  const filtered = { Filters: [{ Name: "tag-key", Values: ["none"] }] }
  assert.equal(await untilRefused("DescribeInstances", {}), 50)
  assert.equal(await untilRefused("DescribeInstances", filtered), 100)
  assert.equal(await call("DescribeInstances", { MaxResults: 5 }), "503 RequestLimitExceeded")
  assert.equal(await call("DescribeVolumes", {}), "served")
  assert.equal(await call("DescribeInstances", {}, "210987654321"), "served")
  assert.equal(await call("DescribeInstances", {}, "123456789012", "eu-west-1"), "served")
  assert.equal(await untilRefused("CreateKeyPair", { KeyName: "k", DryRun: true }), 50)
  assert.equal(await untilRefused("DescribeInstanceTopology", {}), 1)

  nowMs += 99
  assert.equal(await call("DescribeInstances", {}), "503 RequestLimitExceeded")
  nowMs += 1
  assert.equal(await call("DescribeInstances", {}), "served")
  assert.equal(await call("DescribeInstances", {}), "503 RequestLimitExceeded")
  nowMs += 3_600_000
  assert.equal(await untilRefused("DescribeInstances", {}), 50)

  // Resources beside calls: one call that ends 1,000 instances, then 20 a second, whoever asks how often.
  const end = (count: number) => call("TerminateInstances", { InstanceIds: Array(count).fill(unknown.InstanceIds[0]) })
  assert.equal(await end(600), "400 InvalidInstanceID.NotFound")
  assert.equal(await end(401), "503 RequestLimitExceeded")
  assert.equal(await end(400), "400 InvalidInstanceID.NotFound")
  nowMs += 1000
  assert.equal(await end(21), "503 RequestLimitExceeded")
  assert.equal(await end(20), "400 InvalidInstanceID.NotFound")
})

test("the limits are those of EC2's list, and name no API that there is not", async () => {
  const schemas = await loadSchemas("ec2")
  assert.deepEqual(
    listedApis.filter((name) => schemas[name] === undefined),
    [],
  )
  assert.equal(listedApis.length, new Set(listedApis).size)
  assert.deepEqual(requestLimit("RunInstances", true), ["RunInstances", { size: 5, perSecond: 2 }])
  assert.deepEqual(requestLimit("DescribeHosts", true)[1], { size: 100, perSecond: 20 })
  assert.deepEqual(requestLimit("AllocateHosts", true)[1], { size: 50, perSecond: 5 })
  assert.deepEqual(requestLimit("CreateVpcEndpoint", true)[1], { size: 4, perSecond: 0.3 })
  assert.deepEqual(resourceLimit("StopInstances"), { size: 1000, perSecond: 20 })
  assert.equal(resourceLimit("constructor"), undefined)
})

test("without --throttle nothing is refused", async (t) => {
  const rig = await openRig(t)
  for (let count = 0; count < 60; count++) assert.deepEqual((await rig.ec2("DescribeInstances", {})).Reservations, [])
})

test("an SDK that is refused with RequestLimitExceeded tries again and gets through", async (t) => {
  const daemon = await startSimDaemon({ throttle: true })
  t.after(() => daemon.stop())
  const client = (maxAttempts: number) => {
    const { endpoint, credentials } = daemon
    const made = new EC2Client({ endpoint, region: "us-east-1", credentials, maxAttempts })
    t.after(() => made.destroy())
    return () => made.send(new DescribeInstanceTopologyCommand({}))
  }
  // One at once and one more in each second.
  const once = client(1)
  const answers = await Promise.allSettled(Array.from({ length: 40 }, once))
  const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []))
  assert.ok(refused.length > 0 && refused.length < 40, `${refused.length} of 40 were refused`)
  for (const { name, $metadata } of refused)
    assert.equal(`${$metadata.httpStatusCode} ${name}`, "503 RequestLimitExceeded")
  const patient = client(20)
  const served = await Promise.all([patient(), patient(), patient()])
  assert.deepEqual(
    served.map(({ $metadata }) => $metadata.httpStatusCode),
    [200, 200, 200],
  )
})
