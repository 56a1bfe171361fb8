import assert from "node:assert/strict"
import type { Instance } from "@aws-sdk/client-ec2"
import jpeg from "jpeg-js"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nobody = "i-00000000000000000"

async function shown({ ec2 }: TestCloud, id: string): Promise<Instance> {
  const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
  const found = Reservations[0]?.Instances?.[0]
  assert.ok(found)
  return found
}

const stateOf = async (cloud: TestCloud, id: string) => (await shown(cloud, id)).State?.Name

/** The refusals that every operation on instances by their ids has. */
async function refusesIds(
  { refusal }: TestCloud,
  operation: "StartInstances" | "StopInstances" | "RebootInstances" | "TerminateInstances",
): Promise<void> {
  assert.equal(await refusal(operation, { InstanceIds: [nobody] }), "400 InvalidInstanceID.NotFound")
  assert.equal(await refusal(operation, { InstanceIds: ["i-nothing"] }), "400 InvalidInstanceID.Malformed")
  assert.equal(await refusal(operation, { InstanceIds: [] }), "400 MissingParameter")
}

export const instances = {
  async RunInstances(cloud) {
    const { ec2, refusal, image } = cloud
    const one = { ImageId: image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
    const token = { ...one, MinCount: 2, MaxCount: 2, ClientToken: "operations-run" }
    const { Instances = [], ReservationId } = await ec2("RunInstances", token)
    assert.deepEqual(
      Instances.map((instance) => [instance.State?.Name, instance.StateReason?.Code, instance.AmiLaunchIndex]),
      [
        ["pending", "pending", 0],
        ["pending", "pending", 1],
      ],
    )
    assert.equal((await ec2("RunInstances", token)).ReservationId, ReservationId)
    const wrong = (more: object) => refusal("RunInstances", { ...one, ...more })
    assert.equal(await wrong({ ClientToken: "operations-run" }), "400 IdempotentParameterMismatch")
    assert.equal(await wrong({ ImageId: "ami-00000000" }), "400 InvalidAMIID.NotFound")
    assert.equal(await wrong({ ImageId: "image" }), "400 InvalidAMIID.Malformed")
    assert.equal(await wrong({ InstanceType: "t9.micro" }), "400 InvalidParameterValue")
    assert.equal(await wrong({ InstanceType: "t4g.micro" }), "400 InvalidParameterValue")
    assert.equal(await wrong({ MinCount: 0 }), "400 InvalidParameterValue")
    assert.equal(await wrong({ MinCount: 2, MaxCount: 1 }), "400 InvalidParameterCombination")
    assert.equal(await wrong({ MinCount: 10_000, MaxCount: 10_000 }), "400 InstanceLimitExceeded")
    assert.equal(await wrong({ KeyName: "none" }), "400 InvalidKeyPair.NotFound")
    assert.equal(await wrong({ SecurityGroupIds: ["sg-00000000"] }), "400 InvalidGroup.NotFound")
    assert.equal(await wrong({ SubnetId: "subnet-00000000" }), "400 InvalidSubnetID.NotFound")
    assert.equal(await wrong({ UserData: Buffer.alloc(16_385).toString("base64") }), "400 InvalidParameterValue")
    assert.equal(await wrong({ UserData: "not base64!" }), "400 InvalidParameterValue")
    const hibernating = { HibernationOptions: { Configured: true } }
    assert.equal(await wrong(hibernating), "400 UnsupportedHibernationConfiguration")
    const device = { DeviceName: "/dev/xvda", Ebs: { VolumeType: "io1" as const, VolumeSize: 8 } }
    assert.equal(await wrong({ BlockDeviceMappings: [device] }), "400 MissingParameter")
    assert.equal(await wrong({ DryRun: true }), "412 DryRunOperation")
    const { Reservations = [] } = await ec2("DescribeInstances", {
      Filters: [{ Name: "client-token", Values: ["operations-run"] }],
    })
    assert.equal(Reservations.flatMap((reservation) => reservation.Instances ?? []).length, 2)
  },

  async DescribeInstances(cloud) {
    const { ec2, refusal, launch } = cloud
    const Tags = [{ Key: "Name", Value: "to be found" }]
    const [id] = await launch({ TagSpecifications: [{ ResourceType: "instance", Tags }] })
    const instance = await shown(cloud, id)
    assert.deepEqual([instance.State?.Name, instance.Tags], ["running", Tags])
    for (const filter of [
      { Name: "tag:Name", Values: ["to be*"] },
      { Name: "private-ip-address", Values: [instance.PrivateIpAddress ?? ""] },
      { Name: "ip-address", Values: [instance.PublicIpAddress ?? ""] },
    ]) {
      const { Reservations = [] } = await ec2("DescribeInstances", { Filters: [filter] })
      assert.deepEqual(
        Reservations.flatMap((reservation) => reservation.Instances ?? []).map((each) => each.InstanceId),
        [id],
        filter.Name,
      )
    }
    assert.equal(await refusal("DescribeInstances", { InstanceIds: [nobody] }), "400 InvalidInstanceID.NotFound")
    const both = { InstanceIds: [id], MaxResults: 5 }
    assert.equal(await refusal("DescribeInstances", both), "400 InvalidParameterCombination")
  },

  async DescribeInstanceStatus(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const [id] = await launch()
    const running = await ec2("DescribeInstanceStatus", { InstanceIds: [id] })
    const [status] = running.InstanceStatuses ?? []
    assert.equal(status?.InstanceState?.Name, "running")
    // A simulated guest answers at once, and so the waiters of all clients end.
    for (const summary of [status.InstanceStatus, status.SystemStatus, status.AttachedEbsStatus]) {
      assert.equal(summary?.Status, "ok")
      assert.deepEqual(summary.Details, [{ Name: "reachability", Status: "passed" }])
    }
    await ec2("StopInstances", { InstanceIds: [id] })
    await daemon.settled()
    assert.deepEqual((await ec2("DescribeInstanceStatus", { InstanceIds: [id] })).InstanceStatuses, [])
    const all = await ec2("DescribeInstanceStatus", { InstanceIds: [id], IncludeAllInstances: true })
    assert.equal(all.InstanceStatuses?.[0]?.SystemStatus?.Status, "not-applicable")
    const stopped = [{ Name: "instance-state-name", Values: ["stopped"] }]
    const ids = { InstanceIds: [id] }
    const found = await ec2("DescribeInstanceStatus", { ...ids, IncludeAllInstances: true, Filters: stopped })
    assert.equal(found.InstanceStatuses?.[0]?.InstanceState?.Code, 80)
    const health = (Name: string, value: string) => ({
      ...ids,
      IncludeAllInstances: true,
      Filters: [{ Name, Values: [value] }],
    })
    const count = async (Name: string, value: string) =>
      (await ec2("DescribeInstanceStatus", health(Name, value))).InstanceStatuses?.length
    assert.equal(await count("instance-status.status", "not-applicable"), 1)
    assert.equal(await count("system-status.reachability", "passed"), 0)
    assert.equal(await count("event.code", "instance-stop"), 0)
    const wrong = { Filters: [{ Name: "mood", Values: ["good"] }] }
    assert.equal(await refusal("DescribeInstanceStatus", wrong), "400 InvalidParameterValue")
    const valueless = { Filters: [{ Name: "instance-status.status", Values: [] }] }
    assert.equal(await refusal("DescribeInstanceStatus", valueless), "400 InvalidParameterValue")
    assert.equal(await refusal("DescribeInstanceStatus", { InstanceIds: [nobody] }), "400 InvalidInstanceID.NotFound")
  },

  async StopInstances(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const [id] = await launch()
    const before = await shown(cloud, id)
    const { StoppingInstances = [] } = await ec2("StopInstances", { InstanceIds: [id] })
    assert.deepEqual(
      [StoppingInstances[0]?.PreviousState?.Name, StoppingInstances[0]?.CurrentState?.Name],
      ["running", "stopping"],
    )
    await daemon.settled()
    const after = await shown(cloud, id)
    assert.deepEqual(
      [after.State?.Name, after.PublicIpAddress, after.PrivateIpAddress],
      ["stopped", undefined, before.PrivateIpAddress],
    )
    const hibernate = { InstanceIds: [id], Hibernate: true }
    assert.equal(await refusal("StopInstances", hibernate), "400 UnsupportedHibernationConfiguration")
    const device = { DeviceName: "/dev/xvda", Ebs: { Encrypted: true } }
    const asked = { HibernationOptions: { Configured: true }, BlockDeviceMappings: [device] }
    const [sleeper] = await launch(asked)
    await ec2("StopInstances", { InstanceIds: [sleeper], Hibernate: true })
    await daemon.settled()
    const asleep = await shown(cloud, sleeper)
    assert.deepEqual(
      [asleep.State?.Name, asleep.StateReason?.Code, asleep.HibernationOptions?.Configured],
      ["stopped", "Client.UserInitiatedHibernate", true],
    )
    await ec2("StartInstances", { InstanceIds: [sleeper] })
    await daemon.settled()
    const awake = await shown(cloud, sleeper)
    assert.deepEqual(
      [awake.State?.Name, awake.StateReason, awake.PrivateIpAddress],
      ["running", undefined, asleep.PrivateIpAddress],
    )
    await refusesIds(cloud, "StopInstances")
  },

  async StartInstances(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const [id] = await launch()
    await ec2("StopInstances", { InstanceIds: [id], Force: true })
    await daemon.settled()
    assert.equal(await refusal("StartInstances", { InstanceIds: [id], DryRun: true }), "412 DryRunOperation")
    // One that is not there: the other is not started either.
    assert.equal(await refusal("StartInstances", { InstanceIds: [id, nobody] }), "400 InvalidInstanceID.NotFound")
    assert.equal(await stateOf(cloud, id), "stopped")
    const { StartingInstances = [] } = await ec2("StartInstances", { InstanceIds: [id] })
    assert.equal(StartingInstances[0]?.CurrentState?.Name, "pending")
    await daemon.settled()
    const started = await shown(cloud, id)
    assert.equal(started.State?.Name, "running")
    assert.ok(started.PublicIpAddress)
    await refusesIds(cloud, "StartInstances")
  },

  async RebootInstances(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const [id] = await launch()
    await ec2("RebootInstances", { InstanceIds: [id] })
    await daemon.settled()
    assert.equal(await stateOf(cloud, id), "running")
    const { Output = "" } = await ec2("GetConsoleOutput", { InstanceId: id })
    assert.match(Buffer.from(Output, "base64").toString(), /reset/)
    await ec2("TerminateInstances", { InstanceIds: [id] })
    await daemon.settled()
    assert.equal(await refusal("RebootInstances", { InstanceIds: [id] }), "400 IncorrectInstanceState")
    await refusesIds(cloud, "RebootInstances")
  },

  async TerminateInstances(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const [id, protectedOne = ""] = await launch({ MinCount: 2, MaxCount: 2 })
    await ec2("ModifyInstanceAttribute", { InstanceId: protectedOne, DisableApiTermination: { Value: true } })
    assert.equal(await refusal("TerminateInstances", { InstanceIds: [id, protectedOne] }), "400 OperationNotPermitted")
    assert.equal(await stateOf(cloud, id), "running")
    const { TerminatingInstances = [] } = await ec2("TerminateInstances", { InstanceIds: [id] })
    assert.equal(TerminatingInstances[0]?.CurrentState?.Name, "shutting-down")
    await daemon.settled()
    const gone = await shown(cloud, id)
    assert.deepEqual([gone.State?.Name, gone.PrivateIpAddress, gone.NetworkInterfaces], ["terminated", undefined, []])
    assert.equal(await refusal("StartInstances", { InstanceIds: [id] }), "400 IncorrectInstanceState")
    // Once more is no error.
    const { TerminatingInstances: again = [] } = await ec2("TerminateInstances", { InstanceIds: [id] })
    assert.equal(again[0]?.CurrentState?.Name, "terminated")
    await refusesIds(cloud, "TerminateInstances")
  },

  async GetConsoleOutput({ ec2, refusal, launch }) {
    const [id] = await launch()
    const { InstanceId, Output = "" } = await ec2("GetConsoleOutput", { InstanceId: id })
    assert.equal(InstanceId, id)
    assert.match(Buffer.from(Output, "base64").toString(), new RegExp(id))
    assert.equal(await refusal("GetConsoleOutput", { InstanceId: nobody }), "400 InvalidInstanceID.NotFound")
  },

  async GetConsoleScreenshot({ ec2, refusal, launch, daemon }) {
    const [id] = await launch()
    assert.equal(await refusal("GetConsoleScreenshot", { InstanceId: id, DryRun: true }), "412 DryRunOperation")
    const { InstanceId, ImageData = "" } = await ec2("GetConsoleScreenshot", { InstanceId: id, WakeUp: true })
    assert.equal(InstanceId, id)
    const picture = jpeg.decode(Buffer.from(ImageData, "base64"))
    assert.deepEqual([picture.width, picture.height], [640, 400])
    assert.ok(
      new Set(picture.data.filter((_: number, index: number) => index % 4 === 0)).size > 1,
      "more than one brightness",
    )
    assert.equal(await refusal("GetConsoleScreenshot", { InstanceId: nobody }), "400 InvalidInstanceID.NotFound")
    await ec2("StopInstances", { InstanceIds: [id], Force: true })
    await daemon.settled()
    assert.equal(await refusal("GetConsoleScreenshot", { InstanceId: id }), "400 IncorrectInstanceState")
  },

  async ModifyInstanceMetadataOptions(cloud) {
    const { ec2, refusal, launch } = cloud
    const [InstanceId] = await launch()
    const change = { InstanceId, HttpTokens: "required", HttpPutResponseHopLimit: 2 } as const
    const { InstanceMetadataOptions } = await ec2("ModifyInstanceMetadataOptions", change)
    assert.equal(InstanceMetadataOptions?.State, "pending")
    const { MetadataOptions } = await shown(cloud, InstanceId)
    assert.deepEqual([MetadataOptions?.HttpTokens, MetadataOptions?.HttpPutResponseHopLimit], ["required", 2])
    assert.deepEqual([MetadataOptions?.HttpEndpoint, MetadataOptions?.State], ["enabled", "applied"])
    const tooFar = { InstanceId, HttpPutResponseHopLimit: 65 }
    assert.equal(await refusal("ModifyInstanceMetadataOptions", tooFar), "400 InvalidParameterValue")
    assert.equal(
      await refusal("ModifyInstanceMetadataOptions", { InstanceId: nobody }),
      "400 InvalidInstanceID.NotFound",
    )
  },
} satisfies Checks
