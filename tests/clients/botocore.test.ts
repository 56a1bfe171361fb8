/** Every waiter and every paginator that botocore has for an operation that is done, over data that makes several pages. */
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { handlers } from "#services/ec2/service.ts"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"
import { type Boto3, openBoto3 } from "./boto3.ts"
import { findPython } from "./python.ts"

const python = findPython("boto3")
const options = { skip: python ? false : "no python3 here can import boto3" }

type Members = Readonly<Record<string, unknown>>
const pageSize = 5
const isDone = (operation: string | undefined) => operation !== undefined && Object.hasOwn(handlers, operation)

let daemon: SimDaemon
let boto3: Boto3
/** What the cloud holds, by the names that the tests use. */
let made: Readonly<
  Record<"running" | "stopped" | "terminated" | "image" | "group" | "keptInterface" | "keptVolume", string>
>
const gone: { volume: string } = { volume: "" }

before(async () => {
  if (python === undefined) return
  daemon = await startSimDaemon()
  boto3 = openBoto3(python, daemon)
  made = await furnish()
})
after(async () => {
  await boto3?.close()
  await daemon?.stop()
})

async function ec2(operation: string, input: Members = {}): Promise<Members> {
  const answer = await boto3.call({ service: "ec2", operation, input })
  assert.ok("result" in answer, `${operation}: ${JSON.stringify(answer)}`)
  return answer.result
}

async function run(count: number, image: string, more: Members = {}): Promise<readonly string[]> {
  const input = { ImageId: image, InstanceType: "t3.micro", MinCount: count, MaxCount: count, ...more }
  const { Instances } = await ec2("RunInstances", input)
  return (Instances as { InstanceId: string }[]).map((instance) => instance.InstanceId)
}

async function furnish(): Promise<typeof made> {
  const [{ ImageId: image = "" } = {}] = (await ec2("DescribeImages"))["Images"] as { ImageId?: string }[]
  const TagSpecifications = [{ ResourceType: "instance", Tags: [{ Key: "batch", Value: "many" }] }]
  const [running = "", stopped = "", terminated = ""] = await run(7, image, { TagSpecifications })
  await run(6, image, { TagSpecifications })
  const [keeper = ""] = await run(1, image, {
    NetworkInterfaces: [{ DeviceIndex: 0, DeleteOnTermination: false }],
    BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { DeleteOnTermination: false } }],
  })
  await ec2("CreateKeyPair", { KeyName: "pages", KeyType: "ed25519" })
  let group = ""
  for (let index = 0; index < 11; index++) {
    const created = await ec2("CreateSecurityGroup", { GroupName: `pages ${index}`, Description: "of several pages" })
    group = String(created["GroupId"])
    const IpPermissions = [22, 80].map((port) => ({
      IpProtocol: "tcp",
      FromPort: port,
      ToPort: port,
      IpRanges: [{ CidrIp: "192.0.2.0/24" }],
    }))
    await ec2("AuthorizeSecurityGroupIngress", { GroupId: group, IpPermissions })
  }
  await ec2("EnableFastLaunch", { ImageId: image })
  for (let index = 0; index < 41; index++) await ec2("CreateInstanceEventWindow", { CronExpression: "* 0-4 * * SUN" })
  await furnishSettings(group)
  await daemon.settled()
  const partsOf = async (operation: string, list: string, id: string, instance: string) => {
    const found = await ec2(operation, { Filters: [{ Name: "attachment.instance-id", Values: [instance] }] })
    return String((found[list] as Members[])[0]?.[id])
  }
  const keptInterface = await partsOf("DescribeNetworkInterfaces", "NetworkInterfaces", "NetworkInterfaceId", keeper)
  const keptVolume = await partsOf("DescribeVolumes", "Volumes", "VolumeId", keeper)
  gone.volume = await partsOf("DescribeVolumes", "Volumes", "VolumeId", terminated)
  await ec2("CreateReplaceRootVolumeTask", { InstanceId: running })
  for (let index = 0; index < 11; index++) {
    await ec2("CreateSnapshot", { VolumeId: keptVolume })
    // So many may be in the making: 5 of one volume.
    await daemon.settled()
  }
  await ec2("StopInstances", { InstanceIds: [stopped] })
  await ec2("TerminateInstances", { InstanceIds: [terminated, keeper] })
  await daemon.settled()
  return { running, stopped, terminated, image, group, keptInterface, keptVolume }
}

/** What operations have to show that do not know instances. */
async function furnishSettings(group: string): Promise<void> {
  const LaunchTemplateData = { InstanceType: "t3.micro" }
  for (let index = 0; index < 11; index++) {
    await ec2("CreateLaunchTemplate", { LaunchTemplateName: `pages-${index}`, LaunchTemplateData })
    await ec2("CreateLaunchTemplateVersion", { LaunchTemplateName: "pages-0", LaunchTemplateData })
  }
  for (let index = 0; index < 3; index++) {
    const reserved = { InstanceType: "t3.micro", InstancePlatform: "Linux/UNIX", InstanceCount: 1 }
    await ec2("CreateCapacityReservation", { ...reserved, AvailabilityZone: "us-east-1a" })
  }
  await ec2("AllocateHosts", { AvailabilityZone: "us-east-1a", InstanceType: "m5.large", Quantity: 1 })
  await ec2("AllocateAddress")
  const Entries = Array.from({ length: 11 }, (_, index) => ({ Cidr: `192.0.2.${index}/32` }))
  const listed = { PrefixListName: "pages", AddressFamily: "IPv4", MaxEntries: 11, Entries }
  const { PrefixList } = await ec2("CreateManagedPrefixList", listed)
  const { PrefixListId } = PrefixList as Members
  const permission = { IpProtocol: "tcp", FromPort: 443, ToPort: 443, PrefixListIds: [{ PrefixListId }] }
  await ec2("AuthorizeSecurityGroupIngress", { GroupId: group, IpPermissions: [permission] })
  const VpcId = await firstOf("DescribeVpcs", "Vpcs", "VpcId")
  for (const operation of ["DescribeStaleSecurityGroups", "GetSecurityGroupsForVpc"]) narrowed[operation] = { VpcId }
  narrowed["GetManagedPrefixListEntries"] = { PrefixListId }
  narrowed["GetManagedPrefixListAssociations"] = { PrefixListId }
}

/** Waiter -> the input with which it must succeed. */
const waits: Readonly<Record<string, () => Promise<Members> | Members>> = {
  ImageAvailable: () => ({ ImageIds: [made.image] }),
  ImageExists: () => ({ ImageIds: [made.image] }),
  InstanceExists: () => ({ InstanceIds: [made.running] }),
  InstanceRunning: () => ({ InstanceIds: [made.running] }),
  InstanceStatusOk: () => ({ InstanceIds: [made.running] }),
  InstanceStopped: () => ({ InstanceIds: [made.stopped] }),
  InstanceTerminated: () => ({ InstanceIds: [made.terminated] }),
  InternetGatewayExists: async () => ({
    InternetGatewayIds: [await firstOf("DescribeInternetGateways", "InternetGateways", "InternetGatewayId")],
  }),
  KeyPairExists: () => ({ KeyNames: ["pages"] }),
  NetworkInterfaceAvailable: () => ({ NetworkInterfaceIds: [made.keptInterface] }),
  SecurityGroupExists: () => ({ GroupIds: [made.group] }),
  SnapshotCompleted: async () => ({ SnapshotIds: [await firstOf("DescribeSnapshots", "Snapshots", "SnapshotId")] }),
  SubnetAvailable: async () => ({ SubnetIds: [await firstOf("DescribeSubnets", "Subnets", "SubnetId")] }),
  SystemStatusOk: () => ({ InstanceIds: [made.running] }),
  VolumeAvailable: () => ({ VolumeIds: [made.keptVolume] }),
  VolumeDeleted: () => ({ VolumeIds: [gone.volume] }),
  VolumeInUse: () => ({ Filters: [{ Name: "attachment.instance-id", Values: [made.running, made.stopped] }] }),
  VpcAvailable: async () => ({ VpcIds: [await firstOf("DescribeVpcs", "Vpcs", "VpcId")] }),
  VpcExists: async () => ({ VpcIds: [await firstOf("DescribeVpcs", "Vpcs", "VpcId")] }),
}

const firstOf = async (operation: string, list: string, id: string) =>
  String(((await ec2(operation))[list] as Members[])[0]?.[id])

/** Waiters whose operation is not done: the reason why they do not run, and all of them. */
const waitersNotRun = [
  ..."BundleTaskComplete ConversionTaskCancelled ConversionTaskCompleted ConversionTaskDeleted".split(" "),
  ..."CustomerGatewayAvailable ExportTaskCancelled ExportTaskCompleted ImageUsageReportAvailable".split(" "),
  ..."NatGatewayAvailable NatGatewayDeleted SecondaryNetworkCreateComplete".split(" "),
  ..."SecondaryNetworkDeleteComplete SecondarySubnetCreateComplete SecondarySubnetDeleteComplete".split(" "),
  ..."SecurityGroupVpcAssociationAssociated SecurityGroupVpcAssociationDisassociated".split(" "),
  ..."SnapshotImported SpotInstanceRequestFulfilled StoreImageTaskComplete VpcPeeringConnectionDeleted".split(" "),
  ..."VpcPeeringConnectionExists VpnConnectionAvailable VpnConnectionDeleted".split(" "),
]

/** No guest here is Windows: a password never comes. */
const waitersInVain: ReadonlySet<string> = new Set(["PasswordDataAvailable"])

test("every waiter of an operation that is done succeeds", options, async () => {
  const { waiters } = await boto3.models()
  const names = Object.keys(waiters)
  const known = new Set([...waitersNotRun, ...waitersInVain, ...Object.keys(waits)])
  // An older botocore has fewer waiters; one that this list lacks is to be added to it.
  assert.deepEqual(
    names.filter((name) => !known.has(name)),
    [],
  )
  for (const name of waitersNotRun) assert.ok(!isDone(waiters[name]), `${name} can run now: ${waiters[name]} is done`)
  for (const [name, input] of Object.entries(waits)) {
    if (waiters[name] === undefined) continue
    assert.ok(isDone(waiters[name]), name)
    assert.deepEqual(await boto3.wait(name, await input()), { result: { state: "SUCCESS" } }, name)
  }
})

test("a waiter for what cannot become so fails", options, async () => {
  const unknown = "i-00000000000000000"
  const failing: readonly (readonly [waiter: string, input: Members])[] = [
    ["InstanceExists", { InstanceIds: [unknown] }],
    ["InstanceRunning", { InstanceIds: [made.terminated] }],
    ["InstanceStopped", { InstanceIds: [made.terminated] }],
    ["InstanceTerminated", { InstanceIds: [made.running] }],
    ["InstanceStatusOk", { InstanceIds: [made.stopped] }],
    ["KeyPairExists", { KeyNames: ["no such key"] }],
    ["NetworkInterfaceAvailable", { NetworkInterfaceIds: ["eni-00000000000000000"] }],
    ["SecurityGroupExists", { GroupIds: ["sg-00000000000000000"] }],
    ["VolumeDeleted", { VolumeIds: [made.keptVolume] }],
    ["VolumeInUse", { VolumeIds: [made.keptVolume] }],
    ["PasswordDataAvailable", { InstanceId: made.running }],
  ]
  for (const [waiter, input] of failing) {
    const answer = await boto3.wait(waiter, input, 1)
    assert.ok("error" in answer && answer.error.code === "WaiterError", `${waiter}: ${JSON.stringify(answer)}`)
  }
})

/** How many pages there are at least with the furniture above: the other operations have one page of what a fresh region holds. */
const severalPages: Readonly<Record<string, number>> = {
  DescribeInstanceCreditSpecifications: 3,
  DescribeInstanceEventWindows: 3,
  DescribeInstances: 3,
  DescribeInstanceStatus: 3,
  DescribeInstanceTypeOfferings: 3,
  DescribeInstanceTypes: 3,
  DescribeLaunchTemplates: 3,
  DescribeLaunchTemplateVersions: 3,
  DescribeNetworkInterfaces: 3,
  DescribeSecurityGroupRules: 5,
  DescribeSecurityGroups: 3,
  DescribeSnapshots: 3,
  DescribeSubnets: 2,
  DescribeTags: 3,
  DescribeVolumes: 3,
}
/** What an operation has to be told; and of those that list all types there are, one family is enough. */
const narrowed: Record<string, Members> = {
  DescribeLaunchTemplateVersions: { LaunchTemplateName: "pages-0" },
  GetInstanceTypesFromInstanceRequirements: {
    ArchitectureTypes: ["x86_64"],
    VirtualizationTypes: ["hvm"],
    InstanceRequirements: { VCpuCount: { Min: 2, Max: 2 }, MemoryMiB: { Min: 1024 }, AllowedInstanceTypes: ["m5*"] },
  },
  DescribeInstanceTypes: { Filters: [{ Name: "instance-type", Values: ["m5*"] }] },
  DescribeInstanceTypeOfferings: { Filters: [{ Name: "instance-type", Values: ["m5*"] }] },
}

/** No rule can name a group of a VPC that is gone while there is one VPC. */
const nothingToPage: ReadonlySet<string> = new Set(["DescribeStaleSecurityGroups"])

/** An operation that takes no MaxResults as small as five. */
const leastPage: Readonly<Record<string, number>> = { DescribeInstanceEventWindows: 20 }

/** Rows of an answer: MaxResults of DescribeInstances counts instances, though its list holds reservations. */
function rowsOf(answer: Members, list: string): readonly string[] {
  const rows = answer[list] as readonly Members[]
  const flat = list === "Reservations" ? rows.flatMap((row) => row["Instances"] as readonly Members[]) : rows
  return flat.map((row) => JSON.stringify(row))
}

test("every paginator of an operation that is done gives every row once, in pages of five", options, async (t) => {
  const { paginators } = await boto3.models()
  const done = Object.entries(paginators).filter(([operation]) => isDone(operation))
  assert.deepEqual(
    Object.keys(severalPages).filter((operation) => paginators[operation] === undefined),
    [],
  )
  for (const [operation, list] of done) {
    const input = narrowed[operation] ?? {}
    const size = leastPage[operation] ?? pageSize
    const all = rowsOf(await ec2(operation, input), list)
    const pages = (await boto3.paginate(operation, input, size)).map((page) => rowsOf(page, list))
    assert.deepEqual(pages.flat().toSorted(), all.toSorted(), operation)
    assert.equal(new Set(pages.flat()).size, all.length, `${operation}: a row twice`)
    assert.equal(all.length > 0, !nothingToPage.has(operation), `${operation}: nothing to page`)
    assert.ok(
      pages.every((page) => page.length <= size),
      `${operation}: a page of more than ${size}`,
    )
    assert.ok(pages.length >= (severalPages[operation] ?? 1), `${operation}: ${pages.length} pages`)
    t.diagnostic(`${operation}: ${all.length} rows, ${pages.length} pages`)
  }
  // Debian 12's botocore, of 2023, has one paginator fewer.
  assert.ok(done.length >= 13)
})

test("page tokens that are broken, or of another query, are refused", options, async () => {
  const { paginators } = await boto3.models()
  const refusal = async (operation: string, input: Members) => {
    const answer = await boto3.call({ service: "ec2", operation, input })
    return "error" in answer ? answer.error.code : "served"
  }
  for (const operation of Object.keys(paginators).filter(isDone)) {
    const least = narrowed[operation]
    assert.equal(await refusal(operation, { ...least, NextToken: "bm90IGEgdG9rZW4" }), "InvalidNextToken", operation)
    assert.equal(await refusal(operation, { ...least, NextToken: "\u00e9 <&>" }), "InvalidNextToken", operation)
    if (severalPages[operation] === undefined) continue
    const { NextToken } = await ec2(operation, { ...narrowed[operation], MaxResults: leastPage[operation] ?? pageSize })
    const other = {
      ...least,
      Filters: [{ Name: operation.includes("InstanceType") ? "instance-type" : "tag-key", Values: ["x"] }],
    }
    assert.equal(await refusal(operation, { ...other, NextToken }), "InvalidNextToken", operation)
  }
})
