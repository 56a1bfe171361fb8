/**
 * One session with the cloud, as a playbook's tasks and as the calls that do the same: a key, a group, two instances, found, tagged, stopped,
 * started and ended. A member's name is taken as ansible spells it or as the SDK does: what counts is letters and digits.
 */
import type { Step } from "../scenario/steps.ts"
import type { Task } from "./play.ts"

type Members = Readonly<Record<string, unknown>>

export interface Turn extends Task {
  readonly steps: readonly Step[]
  /** What of the task's result is compared, and with what of the answers to `steps`. */
  readonly told: (result: Members) => unknown
  readonly same: (answers: readonly Members[]) => unknown
}

const noInstance = "i-00000000000000000"
const userData = "#!/bin/sh\necho <hello> & 'goodbye'\n"
const pairs = (tags: Readonly<Record<string, string>>) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
const both = ["$first", "$second"]
const filter = (Name: string, ...Values: readonly string[]) => ({ Name, Values })

const member = (name: string) => (members: Members) => members[name]
/** What is told is a change, and the member that shows it. */
const changedWith = (name: string) => (result: Members) => ({ changed: result["changed"], [name]: result[name] })
const without = (members: Members, ...names: readonly string[]): Members =>
  Object.fromEntries(Object.entries(members).filter(([name]) => !names.includes(name)))
const last = (answers: readonly Members[]): Members => answers.at(-1) ?? {}
const listed = (name: string) => (answers: readonly Members[]) => last(answers)[name]
const instancesOf = (answers: readonly Members[]) =>
  (last(answers)["Reservations"] as readonly { readonly Instances: readonly Members[] }[]).flatMap(
    ({ Instances }) => Instances,
  )
/** The module shows what it is called a second time. */
const withId = (name: string) => (row: Members) => ({ ...row, id: row[name] })
const rowsWithId = (list: string, id: string) => (answers: readonly Members[]) =>
  (last(answers)[list] as readonly Members[]).map(withId(id))

const look: Step = { operation: "DescribeInstances", settled: true, input: { InstanceIds: ["$first"] } }
const lookAtBoth: Step = { ...look, input: { InstanceIds: both } }

const prepare: readonly Turn[] = [
  {
    name: "Whose account it is",
    module: "aws_caller_info",
    args: {},
    steps: [{ service: "sts", operation: "GetCallerIdentity", input: {} }],
    told: ({ account, arn, user_id }) => ({ account, arn, user_id }),
    same: last,
  },
  {
    name: "Images",
    module: "ec2_ami_info",
    args: { owners: "amazon", filters: { name: "fractus-micro-*" } },
    keep: { image: "images.0.image_id" },
    steps: [
      {
        operation: "DescribeImages",
        input: { Owners: ["amazon"], Filters: [filter("name", "fractus-micro-*")] },
        keep: { image: "Images.0.ImageId" },
      },
    ],
    told: member("images"),
    same: listed("Images"),
  },
  {
    name: "The default VPC",
    module: "ec2_vpc_net_info",
    args: { filters: { "is-default": "true" } },
    keep: { vpc: "vpcs.0.vpc_id" },
    steps: [
      {
        operation: "DescribeVpcs",
        input: { Filters: [filter("is-default", "true")] },
        keep: { vpc: "Vpcs.0.VpcId" },
      },
      { operation: "DescribeVpcAttribute", input: { VpcId: "$vpc", Attribute: "enableDnsHostnames" } },
      { operation: "DescribeVpcAttribute", input: { VpcId: "$vpc", Attribute: "enableDnsSupport" } },
    ],
    // Classic links are long gone; the module has a word on them all the same.
    told: ({ vpcs }) =>
      (vpcs as readonly Members[]).map((row) => without(row, "classic_link_dns_supported", "classic_link_enabled")),
    same: ([vpcs = {}, names = {}, support = {}]) =>
      (vpcs["Vpcs"] as readonly Members[]).map((row) => ({
        ...withId("VpcId")(row),
        enable_dns_hostnames: (names["EnableDnsHostnames"] as Members)["Value"],
        enable_dns_support: (support["EnableDnsSupport"] as Members)["Value"],
      })),
  },
  {
    name: "Its subnets",
    module: "ec2_vpc_subnet_info",
    args: { filters: { "vpc-id": "$vpc" } },
    steps: [{ operation: "DescribeSubnets", input: { Filters: [filter("vpc-id", "$vpc")] } }],
    told: member("subnets"),
    same: rowsWithId("Subnets", "SubnetId"),
  },
  {
    name: "A key pair",
    module: "ec2_key",
    args: { name: "scenario", key_type: "ed25519", tags: { a: "b" } },
    steps: [
      {
        operation: "CreateKeyPair",
        input: {
          KeyName: "scenario",
          KeyType: "ed25519",
          TagSpecifications: [{ ResourceType: "key-pair", Tags: pairs({ a: "b" }) }],
        },
      },
    ],
    told: ({ key }) => {
      const { id, name, private_key, tags } = key as Members
      return { id, name, private_key, tags }
    },
    same: ([{ KeyPairId, KeyName, KeyMaterial, Tags } = {}]) => ({
      id: KeyPairId,
      name: KeyName,
      private_key: KeyMaterial,
      tags: Tags,
    }),
  },
  {
    name: "A security group",
    module: "ec2_security_group",
    args: {
      name: "scenario",
      description: "for ssh",
      vpc_id: "$vpc",
      rules: [{ proto: "tcp", ports: 22, cidr_ip: "0.0.0.0/0" }],
      tags: { by: "scenario" },
    },
    keep: { group: "group_id" },
    steps: [
      {
        operation: "CreateSecurityGroup",
        input: { GroupName: "scenario", Description: "for ssh", VpcId: "$vpc" },
        keep: { group: "GroupId" },
      },
      {
        operation: "AuthorizeSecurityGroupIngress",
        input: {
          GroupId: "$group",
          IpPermissions: [{ IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
        },
      },
      { operation: "CreateTags", input: { Resources: ["$group"], Tags: pairs({ by: "scenario" }) } },
    ],
    told: ({ changed, group_id, group_name }) => ({ changed, group_id, group_name }),
    same: ([{ GroupId } = {}]) => ({ changed: true, group_id: GroupId, group_name: "scenario" }),
  },
  {
    name: "Groups",
    module: "ec2_security_group_info",
    args: { filters: { "group-id": "$group" } },
    steps: [{ operation: "DescribeSecurityGroups", input: { GroupIds: ["$group"] } }],
    told: member("security_groups"),
    same: listed("SecurityGroups"),
  },
]

const use: readonly Turn[] = [
  {
    name: "Two instances",
    module: "ec2_instance",
    args: {
      name: "scenario <&>",
      image_id: "$image",
      instance_type: "t3.micro",
      count: 2,
      key_name: "scenario",
      security_groups: ["$group"],
      vpc_subnet_id: "{{ told_3.subnets[0].subnet_id }}",
      user_data: userData,
      tags: { unit: "\u00e9t\u00e9" },
      state: "running",
      wait: true,
    },
    keep: { first: "instances.0.instance_id", second: "instances.1.instance_id" },
    steps: [
      {
        operation: "DescribeSubnets",
        input: { Filters: [filter("vpc-id", "$vpc")] },
        keep: { subnet: "Subnets.0.SubnetId" },
      },
      {
        operation: "RunInstances",
        input: {
          ImageId: "$image",
          InstanceType: "t3.micro",
          MinCount: 2,
          MaxCount: 2,
          KeyName: "scenario",
          SubnetId: "$subnet",
          SecurityGroupIds: ["$group"],
          UserData: userData,
          ClientToken: "0123456789abcdef0123456789abcdef",
          EbsOptimized: false,
          TagSpecifications: ["instance", "volume"].map((ResourceType) => ({
            ResourceType,
            Tags: pairs({ Name: "scenario <&>", unit: "\u00e9t\u00e9" }),
          })),
        },
        keep: { first: "Instances.0.InstanceId", second: "Instances.1.InstanceId" },
      },
      lookAtBoth,
    ],
    told: member("instances"),
    same: instancesOf,
  },
  {
    name: "Find them",
    module: "ec2_instance_info",
    args: { filters: { "tag:unit": "\u00e9*", "instance-state-name": ["running", "pending"] } },
    steps: [
      {
        operation: "DescribeInstances",
        input: { Filters: [filter("tag:unit", "\u00e9*"), filter("instance-state-name", "running", "pending")] },
      },
    ],
    told: member("instances"),
    same: instancesOf,
  },
  {
    name: "Their interfaces",
    module: "ec2_eni_info",
    args: { filters: { "attachment.instance-id": "$first" } },
    steps: [
      { operation: "DescribeNetworkInterfaces", input: { Filters: [filter("attachment.instance-id", "$first")] } },
    ],
    told: member("network_interfaces"),
    same: rowsWithId("NetworkInterfaces", "NetworkInterfaceId"),
  },
  {
    name: "Their volumes",
    module: "ec2_vol_info",
    args: { filters: { "attachment.instance-id": "$first" } },
    steps: [{ operation: "DescribeVolumes", input: { Filters: [filter("attachment.instance-id", "$first")] } }],
    told: ({ volumes }) =>
      (volumes as readonly Members[]).map(({ attachment_set, ...row }) => ({
        ...without(row, "region"),
        attachments: attachment_set,
      })),
    same: (answers) => (last(answers)["Volumes"] as readonly Members[]).map(volumeOf),
  },
  {
    name: "A tag more",
    module: "ec2_tag",
    args: { resource: "$first", tags: { stage: "test" } },
    steps: [
      { operation: "CreateTags", input: { Resources: ["$first"], Tags: pairs({ stage: "test" }) } },
      { operation: "DescribeTags", input: { Filters: [filter("resource-id", "$first")] } },
    ],
    told: changedWith("tags"),
    same: (answers) => ({ changed: true, tags: last(answers)["Tags"] }),
  },
  {
    name: "An instance that is not there",
    module: "ec2_instance_info",
    args: { instance_ids: [noInstance] },
    fails: true,
    steps: [
      { operation: "DescribeInstances", input: { InstanceIds: [noInstance] }, fails: "InvalidInstanceID.NotFound" },
    ],
    told: member("error"),
    same: last,
  },
]

const end: readonly Turn[] = [
  {
    name: "Stop one",
    module: "ec2_instance",
    args: { instance_ids: ["$first"], state: "stopped", wait: true },
    steps: [{ operation: "StopInstances", input: { InstanceIds: ["$first"] } }, look],
    told: member("changed"),
    same: () => true,
  },
  {
    name: "Look at it stopped",
    module: "ec2_instance_info",
    args: { instance_ids: ["$first"] },
    steps: [look],
    told: member("instances"),
    same: instancesOf,
  },
  {
    name: "Start it",
    module: "ec2_instance",
    args: { instance_ids: ["$first"], state: "started", wait: true },
    steps: [{ operation: "StartInstances", input: { InstanceIds: ["$first"] } }, look],
    told: member("changed"),
    same: () => true,
  },
  {
    name: "Look at it started",
    module: "ec2_instance_info",
    args: { instance_ids: ["$first"] },
    steps: [look],
    told: member("instances"),
    same: instancesOf,
  },
  {
    name: "End both",
    module: "ec2_instance",
    args: { instance_ids: both, state: "absent", wait: true },
    steps: [{ operation: "TerminateInstances", input: { InstanceIds: both } }, lookAtBoth],
    told: member("instances"),
    same: instancesOf,
  },
  {
    name: "Remove the group",
    module: "ec2_security_group",
    args: { group_id: "$group", state: "absent" },
    steps: [{ operation: "DeleteSecurityGroup", input: { GroupId: "$group" } }],
    told: member("changed"),
    same: () => true,
  },
  {
    name: "Remove the key",
    module: "ec2_key",
    args: { name: "scenario", state: "absent" },
    steps: [{ operation: "DeleteKeyPair", input: { KeyName: "scenario" } }],
    told: member("changed"),
    same: () => true,
  },
]

/** In the order in which both go through it. */
export const session: readonly Turn[] = [...prepare, ...use, ...end]

/** The module's own names of a volume's members. */
function volumeOf({ VolumeId, VolumeType, AvailabilityZone, State, Attachments, ...row }: Members): Members {
  return {
    ...without(row, "MultiAttachEnabled", "AvailabilityZoneId"),
    id: VolumeId,
    type: VolumeType,
    zone: AvailabilityZone,
    status: State,
    attachments: (Attachments as readonly Members[]).map(({ State: attached, ...each }) => ({
      ...without(each, "VolumeId"),
      status: attached,
    })),
  }
}
