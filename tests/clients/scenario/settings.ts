/** The part of the session that changes what instances are like. Only what the older command lines know as well. */
import type { Step } from "./steps.ts"

const both = ["$first", "$second"]
const window = { InstanceEventWindowId: "$window" }

export const settings: readonly Step[] = [
  { operation: "MonitorInstances", input: { InstanceIds: both } },
  {
    operation: "ModifyInstanceMaintenanceOptions",
    input: { InstanceId: "$first", AutoRecovery: "disabled" },
  },
  {
    operation: "ModifyInstanceCreditSpecification",
    input: { InstanceCreditSpecifications: [{ InstanceId: "$first", CpuCredits: "standard" }] },
    cli: ["--instance-credit-specification", "InstanceId=$first,CpuCredits=standard"],
  },
  { operation: "DescribeInstanceCreditSpecifications", input: { InstanceIds: both } },
  { operation: "GetPasswordData", input: { InstanceId: "$first" } },
  {
    operation: "ModifyInstanceAttribute",
    input: { InstanceId: "$first", SourceDestCheck: { Value: false } },
    cli: ["--instance-id", "$first", "--no-source-dest-check"],
  },
  { operation: "ResetInstanceAttribute", input: { InstanceId: "$first", Attribute: "sourceDestCheck" } },
  { operation: "DescribeInstanceAttribute", input: { InstanceId: "$first", Attribute: "sourceDestCheck" } },
  {
    operation: "CreateInstanceEventWindow",
    input: { Name: "nights", CronExpression: "* 0-4 * * MON,TUE" },
    keep: { window: "InstanceEventWindow.InstanceEventWindowId" },
  },
  {
    operation: "AssociateInstanceEventWindow",
    input: { ...window, AssociationTarget: { InstanceIds: ["$first"] } },
  },
  { operation: "DescribeInstanceEventWindows", input: { InstanceEventWindowIds: ["$window"] } },
  { operation: "DeleteInstanceEventWindow", input: { ...window, ForceDelete: true } },
  {
    operation: "ModifyInstancePlacement",
    input: { InstanceId: "$first", Tenancy: "default" },
    fails: "IncorrectInstanceState",
  },
  { operation: "DescribeInstances", input: { InstanceIds: ["$first"] } },
]
