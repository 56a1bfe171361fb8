/**
 * One session with the cloud, as data: what a person does who launches two instances and removes them again. `$name` in a step stands for
 * what an earlier step kept.
 */
import type { Service } from "./client.ts"
import { settings } from "./settings.ts"

export interface Step {
  readonly service?: Service
  /** An operation, or with `waits` a waiter. */
  readonly operation: string
  readonly input: Readonly<Record<string, unknown>>
  readonly cli?: readonly string[]
  readonly waits?: boolean
  /** Until nothing is pending, ahead of the call: it is then sure what the call sees. */
  readonly settled?: boolean
  /** name -> path in the result: "Instances.0.InstanceId". */
  readonly keep?: Readonly<Record<string, string>>
  /** The error that must come; without it the step must succeed. */
  readonly fails?: string
}

const userData = "#!/bin/sh\necho <hello> & 'goodbye'\n"
const tags = (...pairs: readonly (readonly [string, string])[]) => pairs.map(([Key, Value]) => ({ Key, Value }))
const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }
const sshOptions = ["--group-id", "$group", "--protocol", "tcp", "--port", "22", "--cidr", "0.0.0.0/0"]
const both = ["$first", "$second"]
const noInstance = "i-00000000000000000"

const launch = {
  ImageId: "$image",
  InstanceType: "t3.micro",
  MinCount: 2,
  MaxCount: 2,
  KeyName: "scenario",
  SecurityGroupIds: ["$group"],
  UserData: userData,
  ClientToken: "scenario-launch",
  TagSpecifications: [
    { ResourceType: "instance", Tags: tags(["Name", "scenario <&>"], ["unit", "\u00e9t\u00e9"]) },
    { ResourceType: "volume", Tags: tags(["Name", "scenario root"]) },
  ],
}
const launchOptions = [
  ..."--image-id $image --instance-type t3.micro --count 2 --key-name scenario --security-group-ids $group".split(" "),
  "--user-data",
  userData,
  "--client-token",
  "scenario-launch",
  "--tag-specifications",
  "ResourceType=instance,Tags=[{Key=Name,Value=scenario <&>},{Key=unit,Value=\u00e9t\u00e9}]",
  "ResourceType=volume,Tags=[{Key=Name,Value=scenario root}]",
]

const prepare: readonly Step[] = [
  { service: "sts", operation: "GetCallerIdentity", input: {} },
  {
    operation: "DescribeImages",
    input: { Owners: ["amazon"], Filters: [{ Name: "name", Values: ["fractus-micro-*"] }] },
    cli: ["--owners", "amazon", "--filters", "Name=name,Values=fractus-micro-*"],
    keep: { image: "Images.0.ImageId" },
  },
  {
    operation: "DescribeVpcs",
    input: { Filters: [{ Name: "is-default", Values: ["true"] }] },
    keep: { vpc: "Vpcs.0.VpcId" },
  },
  { operation: "DescribeSubnets", input: { Filters: [{ Name: "vpc-id", Values: ["$vpc"] }] } },
  {
    operation: "CreateKeyPair",
    input: {
      KeyName: "scenario",
      KeyType: "ed25519",
      TagSpecifications: [{ ResourceType: "key-pair", Tags: tags(["a", "b"]) }],
    },
  },
  { operation: "CreateKeyPair", input: { KeyName: "scenario" }, fails: "InvalidKeyPair.Duplicate" },
  { operation: "DescribeKeyPairs", input: { KeyNames: ["scenario"] } },
  {
    operation: "CreateSecurityGroup",
    input: { GroupName: "scenario", Description: "for ssh", VpcId: "$vpc" },
    keep: { group: "GroupId" },
  },
  {
    operation: "AuthorizeSecurityGroupIngress",
    input: { GroupId: "$group", IpPermissions: [ssh] },
    cli: sshOptions,
  },
  { operation: "DescribeSecurityGroups", input: { GroupIds: ["$group"] } },
]

const start: readonly Step[] = [
  {
    operation: "RunInstances",
    input: { ...launch, DryRun: true },
    cli: [...launchOptions, "--dry-run"],
    fails: "DryRunOperation",
  },
  {
    operation: "RunInstances",
    input: launch,
    cli: launchOptions,
    keep: { first: "Instances.0.InstanceId", second: "Instances.1.InstanceId" },
  },
  // The same token again: the same two instances, which run by now.
  { operation: "RunInstances", input: launch, cli: launchOptions, settled: true },
  {
    operation: "RunInstances",
    input: { ...launch, InstanceType: "t3.small" },
    cli: launchOptions.map((option) => (option === "t3.micro" ? "t3.small" : option)),
    fails: "IdempotentParameterMismatch",
  },
  { operation: "InstanceRunning", waits: true, input: { InstanceIds: both } },
  { operation: "InstanceStatusOk", waits: true, input: { InstanceIds: both } },
]

const use: readonly Step[] = [
  {
    operation: "DescribeInstances",
    input: {
      Filters: [
        { Name: "tag:Name", Values: ["scenario*"] },
        { Name: "instance-state-name", Values: ["running", "pending"] },
      ],
    },
    cli: ["--filters", "Name=tag:Name,Values=scenario*", "Name=instance-state-name,Values=running,pending"],
  },
  { operation: "DescribeInstanceStatus", input: { InstanceIds: both } },
  { operation: "DescribeInstanceAttribute", input: { InstanceId: "$first", Attribute: "userData" } },
  { operation: "GetConsoleOutput", input: { InstanceId: "$first" } },
  { operation: "DescribeVolumes", input: { Filters: [{ Name: "attachment.instance-id", Values: both }] } },
  {
    operation: "ModifyInstanceAttribute",
    input: { InstanceId: "$first", InstanceInitiatedShutdownBehavior: { Value: "terminate" } },
    cli: ["--instance-id", "$first", "--instance-initiated-shutdown-behavior", "terminate"],
  },
  {
    operation: "DescribeInstanceAttribute",
    input: { InstanceId: "$first", Attribute: "instanceInitiatedShutdownBehavior" },
  },
  { operation: "RebootInstances", input: { InstanceIds: both } },
  { operation: "StopInstances", input: { InstanceIds: ["$first"] }, settled: true },
  { operation: "InstanceStopped", waits: true, settled: true, input: { InstanceIds: ["$first"] } },
  { operation: "DescribeInstances", input: { InstanceIds: ["$first"] } },
  { operation: "StartInstances", input: { InstanceIds: ["$first"] } },
  { operation: "CreateTags", input: { Resources: ["$first", "$group"], Tags: tags(["stage", "test"], ["empty", ""]) } },
  { operation: "DescribeTags", input: { Filters: [{ Name: "resource-id", Values: ["$first", "$group"] }] } },
  { operation: "DeleteTags", input: { Resources: ["$first"], Tags: [{ Key: "stage" }] } },
  { operation: "DescribeInstances", settled: true, input: { InstanceIds: ["$first"] } },
]

const refuse: readonly Step[] = [
  { operation: "DescribeInstances", input: { InstanceIds: [noInstance] }, fails: "InvalidInstanceID.NotFound" },
  { operation: "StopInstances", input: { InstanceIds: ["i-bad"] }, fails: "InvalidInstanceID.Malformed" },
  {
    operation: "DescribeVpcs",
    input: { Filters: [{ Name: "no-such", Values: ["x"] }] },
    fails: "InvalidParameterValue",
  },
  { operation: "DeleteSecurityGroup", input: { GroupId: "$group" }, fails: "DependencyViolation" },
  { operation: "CreateVpc", input: { CidrBlock: "10.0.0.0/16" }, fails: "UnsupportedOperation" },
]

const end: readonly Step[] = [
  { operation: "TerminateInstances", input: { InstanceIds: both } },
  { operation: "InstanceTerminated", waits: true, settled: true, input: { InstanceIds: both } },
  { operation: "DescribeInstances", input: { InstanceIds: both } },
  { operation: "DescribeVolumes", input: {} },
  { operation: "DeleteSecurityGroup", input: { GroupId: "$group" } },
  { operation: "DeleteKeyPair", input: { KeyName: "scenario" } },
]

export const steps: readonly Step[] = [...prepare, ...start, ...use, ...settings, ...refuse, ...end]
