import assert from "node:assert/strict"
import type { AllocateHostsRequest } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = "h-00000000000000000"
const usual = { InstanceFamily: "m5", AvailabilityZone: "us-east-1c" } as const
const Tags = [{ Key: "of", Value: "metal" }]

async function allocate({ ec2 }: TestCloud, more: Partial<AllocateHostsRequest> = {}): Promise<string> {
  const { HostIds } = await ec2("AllocateHosts", { ...usual, Quantity: 1, ...more })
  return HostIds?.[0] ?? assert.fail("no host")
}

async function shown({ ec2 }: TestCloud, id: string) {
  return (await ec2("DescribeHosts", { HostIds: [id] })).Hosts?.[0] ?? assert.fail("no host")
}

/** Launches m5.large in the hosts' zone, with a tenancy of "host". */
async function launch({ ec2, launch: start }: TestCloud, more: object = {}): Promise<string> {
  const Filters = [{ Name: "availability-zone", Values: [usual.AvailabilityZone] }]
  const { Subnets = [] } = await ec2("DescribeSubnets", { Filters })
  const Placement = { Tenancy: "host", ...more } as const
  const [id] = await start({ InstanceType: "m5.large", SubnetId: Subnets[0]?.SubnetId ?? "", Placement })
  return id
}

async function terminate({ ec2, daemon }: TestCloud, id: string): Promise<void> {
  await ec2("TerminateInstances", { InstanceIds: [id] })
  await daemon.settled()
}

export const dedicatedHosts = {
  async AllocateHosts(cloud) {
    const { ec2, refusal, name } = cloud
    const operation = "AllocateHosts"
    const ClientToken = name()
    const TagSpecifications = [{ ResourceType: "dedicated-host" as const, Tags }]
    const wanted: AllocateHostsRequest = { ...usual, Quantity: 2, ClientToken, TagSpecifications, AutoPlacement: "on" }
    const { HostIds = [] } = await ec2(operation, wanted)
    assert.equal(HostIds.length, 2)
    assert.deepEqual((await ec2(operation, wanted)).HostIds?.toSorted(), HostIds.toSorted())
    const host = await shown(cloud, HostIds[0] ?? "")
    assert.match(host.HostId ?? "", /^h-[0-9a-f]{17}$/)
    assert.deepEqual(host.HostProperties, { Cores: 48, InstanceFamily: "m5", TotalVCpus: 96 })
    assert.deepEqual(
      [host.State, host.AutoPlacement, host.AllowsMultipleInstanceTypes, host.AvailabilityZoneId, host.Tags],
      ["available", "on", "on", "use1-az3", Tags],
    )
    assert.equal(host.AvailableCapacity?.AvailableVCpus, 96)
    const large = host.AvailableCapacity.AvailableInstanceCapacity?.find((size) => size.InstanceType === "m5.large")
    assert.deepEqual(large, { InstanceType: "m5.large", AvailableCapacity: 48, TotalCapacity: 48 })
    const one = await allocate(cloud, { InstanceFamily: undefined, InstanceType: "c5.xlarge" })
    const { HostProperties, AllowsMultipleInstanceTypes, AvailableCapacity } = await shown(cloud, one)
    assert.deepEqual(
      [HostProperties, AllowsMultipleInstanceTypes, AvailableCapacity?.AvailableInstanceCapacity],
      [
        { Cores: 36, InstanceFamily: "c5", InstanceType: "c5.xlarge", TotalVCpus: 72 },
        "off",
        [{ InstanceType: "c5.xlarge", AvailableCapacity: 18, TotalCapacity: 18 }],
      ],
    )
    const refused = (input: object) => refusal(operation, { ...usual, ...input })
    assert.equal(await refused({ ...wanted, Quantity: 1 }), "400 IdempotentParameterMismatch")
    for (const missing of ["InstanceFamily", "AvailabilityZone"])
      assert.equal(await refused({ [missing]: undefined }), "400 MissingParameter", missing)
    assert.equal(await refused({ InstanceType: "m5.large" }), "400 InvalidParameterCombination")
    for (const wrong of [
      { Quantity: 0 },
      { Quantity: 101 },
      { InstanceFamily: "t2" },
      { InstanceFamily: "m5.large" },
      { InstanceFamily: undefined, InstanceType: "c5.24xlarge" },
      { AvailabilityZone: "eu-west-1a" },
      { AutoPlacement: "maybe" },
    ])
      assert.equal(await refused(wrong), "400 InvalidParameterValue", JSON.stringify(wrong))
    assert.equal(await refused({ Quantity: 100 }), "400 HostLimitExceeded")
    assert.equal(await refused({ InstanceFamily: "c7g" }), "500 InsufficientHostCapacity")
    for (const undone of [{ InstanceFamily: "t3" }, { HostRecovery: "on" }, { HostMaintenance: "on" }])
      assert.equal(await refused(undone), "400 UnsupportedOperation", JSON.stringify(undone))
    await ec2("ReleaseHosts", { HostIds: [...HostIds, one] })
  },

  async DescribeHosts(cloud) {
    const { ec2, refusal } = cloud
    const id = await allocate(cloud)
    const instance = await launch(cloud, { HostId: id })
    const host = await shown(cloud, id)
    assert.deepEqual(host.Instances, [
      { InstanceId: instance, InstanceType: "m5.large", OwnerId: cloud.daemon.credentials.account },
    ])
    assert.equal(host.AvailableCapacity?.AvailableVCpus, 94)
    for (const [name, value] of [
      ["host-id", id],
      ["tenancy", "host"],
      ["affinity", "default"],
    ] as const) {
      const { Reservations } = await ec2("DescribeInstances", { Filters: [{ Name: name, Values: [value] }] })
      assert.deepEqual(
        Reservations?.map(({ Instances }) => Instances?.[0]?.InstanceId),
        [instance],
        name,
      )
    }
    assert.equal(await refusal("DescribeHosts", { HostIds: [nowhere] }), "400 InvalidHostID.NotFound")
    await terminate(cloud, instance)
    assert.deepEqual((await shown(cloud, id)).Instances, [])
    await ec2("ReleaseHosts", { HostIds: [id] })
  },

  async ModifyHosts(cloud) {
    const { ec2, refusal } = cloud
    const operation = "ModifyHosts"
    const HostIds = [await allocate(cloud)]
    const [id = ""] = HostIds
    const outcome = async (input: object) => {
      const { Successful, Unsuccessful } = await ec2(operation, { HostIds, ...input })
      return [...(Successful ?? []), ...(Unsuccessful ?? []).map(({ Error: error }) => error?.Code)].join(" ")
    }
    assert.equal(await outcome({ AutoPlacement: "on", InstanceType: "m5.large" }), id)
    const host = await shown(cloud, id)
    assert.deepEqual([host.AutoPlacement, host.HostProperties?.InstanceType], ["on", "m5.large"])
    // It finds its host by itself.
    const instance = await launch(cloud)
    assert.equal((await shown(cloud, id)).Instances?.[0]?.InstanceId, instance)
    assert.equal(await outcome({ InstanceType: "m5.xlarge" }), "Client.InvalidHost.Occupied")
    assert.equal(await outcome({ InstanceFamily: "c5" }), "Client.InvalidParameterValue")
    assert.equal(await outcome({ HostIds: [nowhere], AutoPlacement: "on" }), "Client.InvalidHostID.NotFound")
    assert.equal(await outcome({ InstanceFamily: "m5" }), id)
    assert.equal((await shown(cloud, id)).AllowsMultipleInstanceTypes, "on")
    assert.equal(await refusal(operation, { HostIds }), "400 MissingParameter")
    assert.equal(await refusal(operation, { HostIds, HostRecovery: "on" }), "400 UnsupportedOperation")
    await terminate(cloud, instance)
    await ec2("ReleaseHosts", { HostIds })
    assert.equal(await outcome({ AutoPlacement: "off" }), "Client.InvalidHostState")
  },

  async ReleaseHosts(cloud) {
    const { ec2, refusal } = cloud
    const [id, other] = [await allocate(cloud), await allocate(cloud)]
    const instance = await launch(cloud, { HostId: id, Affinity: "host" })
    const release = async (...HostIds: string[]) => {
      const { Successful = [], Unsuccessful = [] } = await ec2("ReleaseHosts", { HostIds })
      return [Successful, Unsuccessful.map(({ ResourceId, Error: error }) => `${ResourceId} ${error?.Code}`)]
    }
    assert.deepEqual(await release(id, other, nowhere), [
      [other],
      [`${id} Client.InvalidHost.Occupied`, `${nowhere} Client.InvalidHostID.NotFound`],
    ])
    const { State, ReleaseTime, AvailableCapacity } = await shown(cloud, other)
    assert.deepEqual([State, AvailableCapacity?.AvailableVCpus], ["released", 0])
    assert.ok(ReleaseTime instanceof Date)
    await terminate(cloud, instance)
    assert.deepEqual(await release(id), [[id], []])
    assert.deepEqual(await release(id), [[], [`${id} Client.InvalidHostState`]])
    assert.equal(await refusal("ReleaseHosts", { HostIds: [] }), "400 MissingParameter")
  },
} satisfies Checks
