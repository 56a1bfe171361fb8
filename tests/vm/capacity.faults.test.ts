/** Room that is reserved on a real host, and a guest in it, launched by an image id of AWS. */
import assert from "node:assert/strict"
import { test } from "node:test"
import {
  AllocateHostsCommand,
  CancelCapacityReservationCommand,
  CreateCapacityReservationCommand,
  DescribeCapacityReservationsCommand,
  DescribeSubnetsCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
} from "@aws-sdk/client-ec2"
import { fractus, startCloud } from "./cloud.ts"

const zone = "us-east-1a"
const unknown = "ami-0c55b159cbfafe1f0"

test("a host's reserved room is for the guests that name it, and AWS's image ids launch", async (t) => {
  const cloud = await startCloud(t, 5565, undefined, ["--unknown-ami", "substitute"])
  const { client, home } = cloud
  const refused = async (promise: Promise<unknown>): Promise<Error> =>
    promise.then(
      () => assert.fail("it was served"),
      (error: Error) => error,
    )
  const host = new AllocateHostsCommand({ InstanceFamily: "m5", Quantity: 1, AvailabilityZone: zone })
  assert.equal((await refused(client.send(host))).name, "InsufficientHostCapacity", "of 96 vCPUs")

  const reserve = (InstanceCount: number) =>
    client.send(
      new CreateCapacityReservationCommand({
        InstanceType: "t3.small",
        InstancePlatform: "Linux/UNIX",
        AvailabilityZone: zone,
        InstanceCount,
        InstanceMatchCriteria: "targeted",
      }),
    )
  const { name, message } = await refused(reserve(1000))
  assert.equal(name, "InsufficientInstanceCapacity")
  const leftMiB = Number(/the host has (\d+) MiB left/.exec(message)?.[1])
  // 128 MiB beside each guest's memory.
  const most = Math.floor(leftMiB / (2048 + 128))
  assert.ok(most > 0, message)
  const CapacityReservationId = (await reserve(most)).CapacityReservation?.CapacityReservationId ?? ""

  const { Subnets: [subnet] = [] } = await client.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: "availability-zone", Values: [zone] }] }),
  )
  const run = (more: Partial<RunInstancesCommandInput> = {}) => {
    const SubnetId = subnet?.SubnetId ?? ""
    const one = { ImageId: unknown, InstanceType: "t3.small", MinCount: 1, MaxCount: 1, SubnetId } as const
    return client.send(new RunInstancesCommand({ ...one, ...more }))
  }
  assert.equal((await refused(run())).name, "InsufficientInstanceCapacity")
  const target = { CapacityReservationTarget: { CapacityReservationId } }
  const { Instances: [guest] = [] } = await run({ CapacityReservationSpecification: target })
  await cloud.settled(120)
  const [running] = await cloud.instances()
  assert.deepEqual(
    [running?.State?.Name, running?.ImageId, running?.CapacityReservationId],
    ["running", unknown, CapacityReservationId],
  )
  const shown = await client.send(new DescribeCapacityReservationsCommand({}))
  assert.equal(shown.CapacityReservations?.[0]?.AvailableInstanceCount, most - 1)
  const why = await fractus(["why", guest?.InstanceId ?? "", "--home", home])
  assert.match(why.output, /is launched of fractus-micro-\S+, in place of ami-0c55b159cbfafe1f0/)

  await client.send(new CancelCapacityReservationCommand({ CapacityReservationId }))
  assert.equal((await refused(run({ DryRun: true }))).name, "DryRunOperation", "there is room again")
  assert.deepEqual(
    (await cloud.instances()).map(({ State, CapacityReservationId: id }) => [State?.Name, id]),
    [["running", undefined]],
  )
})
