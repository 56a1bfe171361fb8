/** One guest's life as a client sees it, as data. `$label` names the client, `$image` the image; what steps keep is named as they say. */
import type { Step } from "#tests/clients/scenario/steps.ts"

const one = { InstanceIds: ["$instance"] }
const mine = { Name: "tag:by", Values: ["$label"] }
const inState = (state: string) => ({ Name: "instance-state-name", Values: [state] })
const found = (state: string): Step => ({ operation: "DescribeInstances", input: { Filters: [mine, inState(state)] } })
const reaches = (waiter: string): Step => ({ operation: waiter, waits: true, settled: true, input: one })

/** The guest writes down who launched it. */
const userData = "#!/bin/sh\necho $label > /etc/made\n"

const launch: Step = {
  operation: "RunInstances",
  input: {
    ImageId: "$image",
    InstanceType: "t3.nano",
    MinCount: 1,
    MaxCount: 1,
    KeyName: "test",
    UserData: userData,
    TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "by", Value: "$label" }] }],
  },
  cli: [
    ..."--image-id $image --instance-type t3.nano --count 1 --key-name test --user-data".split(" "),
    userData,
    "--tag-specifications",
    "ResourceType=instance,Tags=[{Key=by,Value=$label}]",
  ],
  keep: { instance: "Instances.0.InstanceId" },
}

/** Until the guest runs and its address is known. */
export const begin: readonly Step[] = [
  launch,
  reaches("InstanceRunning"),
  { ...found("running"), keep: { address: "Reservations.0.Instances.0.PublicIpAddress" } },
]

/** Tagged, found by its tags with and without wildcards, stopped and started. */
export const middle: readonly Step[] = [
  { operation: "CreateTags", input: { Resources: ["$instance"], Tags: [{ Key: "stage", Value: "test of $label" }] } },
  {
    operation: "DescribeTags",
    input: {
      Filters: [
        { Name: "resource-id", Values: ["$instance"] },
        { Name: "value", Values: ["*$label"] },
      ],
    },
  },
  {
    operation: "DescribeInstances",
    input: { Filters: [{ Name: "tag:stage", Values: ["test ?? $label", "other"] }, inState("run*")] },
  },
  { operation: "StopInstances", input: one },
  reaches("InstanceStopped"),
  found("stopped"),
  found("running"),
  { operation: "StartInstances", input: one },
  reaches("InstanceRunning"),
  { ...found("running"), keep: { address: "Reservations.0.Instances.0.PublicIpAddress" } },
]

export const end: readonly Step[] = [
  { operation: "DeleteTags", input: { Resources: ["$instance"], Tags: [{ Key: "stage" }] } },
  { operation: "TerminateInstances", input: one },
  reaches("InstanceTerminated"),
  found("terminated"),
]
