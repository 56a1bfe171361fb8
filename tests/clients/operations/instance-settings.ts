/** Monitoring, maintenance, placement, reports, passwords, topology and defaults of metadata options. */
import assert from "node:assert/strict"
import type { Instance } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nobody = "i-00000000000000000"

async function shown({ ec2 }: TestCloud, id: string): Promise<Instance> {
  const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
  return Reservations[0]?.Instances?.[0] ?? assert.fail("no instance")
}

async function stop({ ec2, daemon }: TestCloud, id: string): Promise<void> {
  await ec2("StopInstances", { InstanceIds: [id] })
  await daemon.settled()
}

async function found({ ec2 }: TestCloud, id: string, Name: string, value: string): Promise<boolean> {
  const Filters = [
    { Name, Values: [value] },
    { Name: "instance-id", Values: [id] },
  ]
  return ((await ec2("DescribeInstances", { Filters })).Reservations?.length ?? 0) === 1
}

export const instanceSettings = {
  async MonitorInstances(cloud) {
    const { ec2, refusal, launch } = cloud
    const [id] = await launch()
    assert.equal((await shown(cloud, id)).Monitoring?.State, "disabled")
    assert.equal(await refusal("MonitorInstances", { InstanceIds: [id], DryRun: true }), "412 DryRunOperation")
    const states = async () =>
      (await ec2("MonitorInstances", { InstanceIds: [id] })).InstanceMonitorings?.map((each) => each.Monitoring?.State)
    assert.deepEqual(await states(), ["pending"])
    assert.equal((await shown(cloud, id)).Monitoring?.State, "enabled")
    assert.deepEqual(await states(), ["enabled"])
    assert.ok(await found(cloud, id, "monitoring-state", "enabled"))
    assert.equal(await refusal("MonitorInstances", { InstanceIds: [id, nobody] }), "400 InvalidInstanceID.NotFound")
    assert.equal(await refusal("MonitorInstances", { InstanceIds: [] }), "400 MissingParameter")
    const categories = { InstanceIds: [id], MetricCategoryIds: ["cpu"] }
    assert.equal(await refusal("MonitorInstances", categories), "400 UnsupportedOperation")
  },

  async UnmonitorInstances(cloud) {
    const { ec2, refusal, launch, daemon } = cloud
    const [id] = await launch({ Monitoring: { Enabled: true } })
    const [other] = await launch()
    const { InstanceMonitorings } = await ec2("UnmonitorInstances", { InstanceIds: [id, other] })
    assert.deepEqual(
      InstanceMonitorings?.map((each) => [each.InstanceId, each.Monitoring?.State]),
      [
        [id, "disabling"],
        [other, "disabled"],
      ],
    )
    assert.equal((await shown(cloud, id)).Monitoring?.State, "disabled")
    await ec2("TerminateInstances", { InstanceIds: [id] })
    await daemon.settled()
    assert.equal(await refusal("UnmonitorInstances", { InstanceIds: [id] }), "400 IncorrectInstanceState")
  },

  async ModifyInstanceMaintenanceOptions(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ModifyInstanceMaintenanceOptions"
    const [id] = await launch({ MaintenanceOptions: { AutoRecovery: "disabled" } })
    const [plain] = await launch()
    assert.deepEqual((await shown(cloud, plain)).MaintenanceOptions, {
      AutoRecovery: "default",
      RebootMigration: "default",
    })
    assert.ok(await found(cloud, id, "maintenance-options.auto-recovery", "disabled"))
    const answer = await ec2(operation, { InstanceId: id, RebootMigration: "disabled" })
    assert.deepEqual(answer, { InstanceId: id, AutoRecovery: "disabled", RebootMigration: "disabled" })
    await ec2(operation, { InstanceId: id, AutoRecovery: "default" })
    assert.deepEqual((await shown(cloud, id)).MaintenanceOptions, {
      AutoRecovery: "default",
      RebootMigration: "disabled",
    })
    const wrong = { InstanceId: id, AutoRecovery: "always" as never }
    assert.equal(await refusal(operation, wrong), "400 InvalidParameterValue")
    assert.equal(await refusal(operation, { InstanceId: id }), "400 MissingParameter")
    const none = { InstanceId: nobody, AutoRecovery: "disabled" } as const
    assert.equal(await refusal(operation, none), "400 InvalidInstanceID.NotFound")
  },

  async ModifyInstanceCpuOptions(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ModifyInstanceCpuOptions"
    const [id] = await launch({ InstanceType: "c5.4xlarge", CpuOptions: { CoreCount: 4, ThreadsPerCore: 1 } })
    assert.deepEqual((await shown(cloud, id)).CpuOptions, { CoreCount: 4, ThreadsPerCore: 1 })
    const { LaunchTemplateData } = await ec2("GetLaunchTemplateData", { InstanceId: id })
    assert.deepEqual(LaunchTemplateData?.CpuOptions, { CoreCount: 4, ThreadsPerCore: 1 })
    const both = { CoreCount: 6, ThreadsPerCore: 2 }
    const refused = (change: object) => refusal(operation, { InstanceId: id, ...change })
    assert.equal(await refused(both), "400 IncorrectInstanceState")
    await stop(cloud, id)
    assert.equal(await refused({ ...both, DryRun: true }), "412 DryRunOperation")
    const changed = await ec2(operation, { InstanceId: id, ...both })
    assert.deepEqual(changed, { InstanceId: id, ...both, NestedVirtualization: "disabled" })
    for (const wrong of [{ CoreCount: 5 }, { CoreCount: 10 }, { ThreadsPerCore: 3 }, { CoreCount: 0 }])
      assert.equal(await refused({ ...both, ...wrong }), "400 InvalidParameterValue", JSON.stringify(wrong))
    assert.equal(await refused({ CoreCount: 2 }), "400 MissingParameter")
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ NestedVirtualization: "enabled" }), "400 UnsupportedOperation")
    assert.deepEqual((await shown(cloud, id)).CpuOptions, both)
    assert.equal(await refusal(operation, { InstanceId: nobody, ...both }), "400 InvalidInstanceID.NotFound")
    await ec2("StartInstances", { InstanceIds: [id] })
    await cloud.daemon.settled()
    assert.deepEqual((await shown(cloud, id)).CpuOptions, both)
    await stop(cloud, id)
    // Another type has its own.
    await ec2("ModifyInstanceAttribute", { InstanceId: id, InstanceType: { Value: "c5.large" } })
    assert.deepEqual((await shown(cloud, id)).CpuOptions, { CoreCount: 1, ThreadsPerCore: 2 })
    const one = { ImageId: cloud.image, MinCount: 1, MaxCount: 1 } as const
    const plain = { ...one, InstanceType: "t2.micro", CpuOptions: both } as const
    assert.equal(await refusal("RunInstances", plain), "400 Unsupported")
    const half = { ...one, InstanceType: "c5.large", CpuOptions: { CoreCount: 1 } } as const
    assert.equal(await refusal("RunInstances", half), "400 MissingParameter")
  },

  async ModifyInstancePlacement(cloud) {
    const { ec2, refusal, launch } = cloud
    const [id] = await launch()
    const refused = (change: object) => refusal("ModifyInstancePlacement", { InstanceId: id, ...change })
    assert.equal(await refused({ Affinity: "default" }), "400 IncorrectInstanceState")
    await stop(cloud, id)
    const same = { InstanceId: id, Tenancy: "default", Affinity: "default", GroupName: "" } as const
    assert.equal((await ec2("ModifyInstancePlacement", same)).Return, true)
    assert.equal((await shown(cloud, id)).Placement?.Tenancy, "default")
    assert.equal(await refused({}), "400 MissingParameter")
    assert.equal(await refused({ Tenancy: "dedicated" }), "400 InvalidRequest")
    assert.equal(await refused({ Tenancy: "villa" }), "400 InvalidParameterValue")
    assert.equal(await refused({ Affinity: "host" }), "400 InvalidParameterCombination")
    assert.equal(await refused({ GroupName: "spread" }), "400 InvalidPlacementGroup.Unknown")
    assert.equal(await refused({ PartitionNumber: 1 }), "400 InvalidParameterCombination")
    assert.equal(await refused({ HostId: "h-0123456789abcdef0" }), "400 InvalidHostID.NotFound")
    assert.equal(await refused({ HostId: "host" }), "400 InvalidHostID.Malformed")
    const none = { InstanceId: nobody, Affinity: "default" } as const
    assert.equal(await refusal("ModifyInstancePlacement", none), "400 InvalidInstanceID.NotFound")
  },

  async ReportInstanceStatus(cloud) {
    const { ec2, refusal, launch } = cloud
    const [id] = await launch()
    const report = { Instances: [id], Status: "impaired", ReasonCodes: ["performance-network", "other"] } as const
    const given = { ...report, Instances: [id], ReasonCodes: [...report.ReasonCodes] }
    const before = await ec2("DescribeInstanceStatus", { InstanceIds: [id] })
    await ec2("ReportInstanceStatus", { ...given, StartTime: new Date(0), Description: "slow since noon" })
    assert.deepEqual(await ec2("DescribeInstanceStatus", { InstanceIds: [id] }), before)
    const refused = (change: object) => refusal("ReportInstanceStatus", { ...given, ...change })
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.equal(await refused({ Status: "sad" }), "400 InvalidParameterValue")
    assert.equal(await refused({ ReasonCodes: [] }), "400 MissingParameter")
    assert.equal(await refused({ ReasonCodes: ["boredom"] }), "400 InvalidParameterValue")
    assert.equal(await refused({ Instances: [] }), "400 MissingParameter")
    assert.equal(await refused({ Instances: [nobody] }), "400 InvalidInstanceID.NotFound")
    const backwards = { StartTime: new Date(2000), EndTime: new Date(1000) }
    assert.equal(await refused(backwards), "400 InvalidParameterCombination")
    await stop(cloud, id)
    assert.equal(await refused({}), "400 IncorrectInstanceState")
  },

  async SendDiagnosticInterrupt(cloud) {
    const { ec2, refusal, launch } = cloud
    const [InstanceId] = await launch()
    const operation = "SendDiagnosticInterrupt"
    assert.equal(await refusal(operation, { InstanceId, DryRun: true }), "412 DryRunOperation")
    await ec2(operation, { InstanceId })
    await stop(cloud, InstanceId)
    assert.equal(await refusal(operation, { InstanceId }), "400 IncorrectInstanceState")
    assert.equal(await refusal(operation, { InstanceId: nobody }), "400 InvalidInstanceID.NotFound")
  },

  async EnableSerialConsoleAccess({ ec2, refusal }) {
    assert.equal(await refusal("EnableSerialConsoleAccess", { DryRun: true }), "412 DryRunOperation")
    assert.deepEqual(await ec2("EnableSerialConsoleAccess", {}), { SerialConsoleAccessEnabled: true })
    assert.deepEqual(await ec2("GetSerialConsoleAccessStatus", {}), { SerialConsoleAccessEnabled: true })
    await ec2("DisableSerialConsoleAccess", {})
  },

  async DisableSerialConsoleAccess({ ec2, refusal }) {
    await ec2("EnableSerialConsoleAccess", {})
    assert.equal(await refusal("DisableSerialConsoleAccess", { DryRun: true }), "412 DryRunOperation")
    assert.deepEqual(await ec2("DisableSerialConsoleAccess", {}), { SerialConsoleAccessEnabled: false })
    assert.deepEqual(await ec2("GetSerialConsoleAccessStatus", {}), { SerialConsoleAccessEnabled: false })
  },

  async GetSerialConsoleAccessStatus({ ec2, refusal }) {
    assert.deepEqual(await ec2("GetSerialConsoleAccessStatus", {}), { SerialConsoleAccessEnabled: false })
    assert.equal(await refusal("GetSerialConsoleAccessStatus", { DryRun: true }), "412 DryRunOperation")
  },

  async GetPasswordData(cloud) {
    const { ec2, refusal, launch } = cloud
    const [id] = await launch()
    const { InstanceId, PasswordData, Timestamp } = await ec2("GetPasswordData", { InstanceId: id })
    assert.deepEqual([InstanceId, PasswordData ?? ""], [id, ""])
    assert.ok(Timestamp instanceof Date)
    assert.equal((await shown(cloud, id)).Platform, undefined)
    assert.equal(await refusal("GetPasswordData", { InstanceId: nobody }), "400 InvalidInstanceID.NotFound")
  },

  async DescribeInstanceTopology(cloud) {
    const { ec2, refusal, launch } = cloud
    const [first] = await launch({ InstanceType: "p4d.24xlarge" })
    const [second] = await launch({ InstanceType: "p4d.24xlarge" })
    const [plain] = await launch()
    const { Instances = [] } = await ec2("DescribeInstanceTopology", { InstanceIds: [first, second, plain] })
    const [one, two, three] = Instances
    assert.equal(one?.NetworkNodes?.length, 3)
    assert.ok(one?.NetworkNodes?.every((node) => /^nn-[0-9a-f]{17}$/.test(node)))
    assert.deepEqual([two?.NetworkNodes, two?.InstanceType], [one?.NetworkNodes, "p4d.24xlarge"])
    assert.deepEqual(three?.NetworkNodes ?? [], [])
    assert.deepEqual([one?.AvailabilityZone, one?.ZoneId], [two?.AvailabilityZone, two?.ZoneId])
    const Filters = [
      { Name: "instance-type", Values: ["p4d*"] },
      { Name: "zone-id", Values: [one?.ZoneId ?? ""] },
    ]
    const page = await ec2("DescribeInstanceTopology", { Filters, MaxResults: 1 })
    assert.deepEqual(
      page.Instances?.map((each) => each.InstanceId),
      [first],
    )
    const rest = await ec2("DescribeInstanceTopology", { Filters, MaxResults: 1, NextToken: page.NextToken })
    assert.deepEqual(
      rest.Instances?.map((each) => each.InstanceId),
      [second],
    )
    await stop(cloud, first)
    const { Instances: [stopped] = [] } = await ec2("DescribeInstanceTopology", { InstanceIds: [first] })
    assert.deepEqual(stopped?.NetworkNodes ?? [], [])
    assert.equal(await refusal("DescribeInstanceTopology", { MaxResults: 101 }), "400 InvalidParameterValue")
    const group = { GroupNames: ["cluster"] }
    assert.equal(await refusal("DescribeInstanceTopology", group), "400 InvalidPlacementGroup.Unknown")
    await ec2("TerminateInstances", { InstanceIds: [first, second] })
  },

  async GetInstanceMetadataDefaults({ ec2, refusal }) {
    const { AccountLevel } = await ec2("GetInstanceMetadataDefaults", {})
    assert.deepEqual(AccountLevel, { ManagedBy: "account" })
    assert.equal(await refusal("GetInstanceMetadataDefaults", { DryRun: true }), "412 DryRunOperation")
  },

  async ModifyInstanceMetadataDefaults(cloud) {
    const { ec2, refusal, launch } = cloud
    const operation = "ModifyInstanceMetadataDefaults"
    const options = async (more = {}) => {
      const [id] = await launch(more)
      const { HttpTokens, HttpPutResponseHopLimit, HttpEndpoint, InstanceMetadataTags } =
        (await shown(cloud, id)).MetadataOptions ?? {}
      return { id, options: [HttpTokens, HttpPutResponseHopLimit, HttpEndpoint, InstanceMetadataTags] }
    }
    const before = await options()
    assert.deepEqual(before.options, ["optional", 1, "enabled", "disabled"])
    const change = { HttpTokens: "required", HttpPutResponseHopLimit: 2, InstanceMetadataTags: "enabled" } as const
    assert.equal(await refusal(operation, { ...change, DryRun: true }), "412 DryRunOperation")
    assert.equal((await ec2(operation, change)).Return, true)
    await ec2(operation, { HttpTokensEnforced: "enabled" })
    assert.deepEqual((await ec2("GetInstanceMetadataDefaults", {})).AccountLevel, {
      ...change,
      HttpTokensEnforced: "enabled",
      ManagedBy: "account",
    })
    assert.deepEqual((await options()).options, ["required", 2, "enabled", "enabled"])
    const own = await options({ MetadataOptions: { HttpPutResponseHopLimit: 3, HttpEndpoint: "disabled" } })
    assert.deepEqual(own.options, ["required", 3, "disabled", "enabled"])
    const one = { ImageId: cloud.image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
    const optional = { HttpTokens: "optional" } as const
    assert.equal(await refusal("RunInstances", { ...one, MetadataOptions: optional }), "400 OperationNotPermitted")
    const back = { InstanceId: own.id, ...optional }
    assert.equal(await refusal("ModifyInstanceMetadataOptions", back), "400 OperationNotPermitted")
    // Clearing each leaves nothing behind for the other checks.
    await ec2(operation, { HttpTokensEnforced: "no-preference", HttpTokens: "no-preference" })
    await ec2(operation, { HttpPutResponseHopLimit: -1, InstanceMetadataTags: "no-preference" })
    assert.deepEqual((await ec2("GetInstanceMetadataDefaults", {})).AccountLevel, { ManagedBy: "account" })
    assert.deepEqual((await options()).options, before.options)
    assert.equal(await refusal(operation, {}), "400 MissingParameter")
    assert.equal(await refusal(operation, { HttpTokens: "two" as never }), "400 InvalidParameterValue")
    for (const hops of [0, -2, 65])
      assert.equal(await refusal(operation, { HttpPutResponseHopLimit: hops }), "400 InvalidParameterValue")
  },
} satisfies Checks
