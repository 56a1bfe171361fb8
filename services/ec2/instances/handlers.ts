/** The operations of instances. */
import { pure } from "#cloud/service.ts"
import type { Handlers } from "../handler.ts"
import { describeInstanceAttribute } from "./attributes/describe.ts"
import { modifyInstanceAttribute } from "./attributes/modify.ts"
import { resetInstanceAttribute } from "./attributes/reset.ts"
import { getConsoleOutput } from "./console.ts"
import { modifyInstanceCpuOptions } from "./cpu-options.ts"
import { describeInstances, describeInstanceStatus } from "./describe.ts"
import { sendDiagnosticInterrupt } from "./interrupt.ts"
import { modifyInstanceMetadataOptions } from "./modify-metadata-options.ts"
import { modifyInstanceMaintenanceOptions } from "./maintenance.ts"
import { monitorInstances, unmonitorInstances } from "./monitoring.ts"
import { getPasswordData } from "./password.ts"
import { modifyInstancePlacement } from "./placement.ts"
import { modifyPrivateDnsNameOptions } from "./private-dns-name.ts"
import { reportInstanceStatus } from "./report.ts"
import { describeInstanceTopology } from "./topology.ts"
import { runInstances } from "./launch/run.ts"
import { rebootInstances, startInstances, stopInstances, terminateInstances } from "./lifecycle.ts"
import { getConsoleScreenshot } from "./screenshot.ts"

export const handlers = {
  DescribeInstanceAttribute: pure(describeInstanceAttribute),
  DescribeInstances: pure(describeInstances),
  DescribeInstanceStatus: pure(describeInstanceStatus),
  DescribeInstanceTopology: pure(describeInstanceTopology),
  GetConsoleOutput: getConsoleOutput,
  GetConsoleScreenshot: getConsoleScreenshot,
  GetPasswordData: getPasswordData,
  ModifyInstanceAttribute: modifyInstanceAttribute,
  ModifyInstanceCpuOptions: modifyInstanceCpuOptions,
  ModifyInstanceMaintenanceOptions: modifyInstanceMaintenanceOptions,
  ModifyInstanceMetadataOptions: modifyInstanceMetadataOptions,
  ModifyInstancePlacement: modifyInstancePlacement,
  ModifyPrivateDnsNameOptions: modifyPrivateDnsNameOptions,
  MonitorInstances: monitorInstances,
  RebootInstances: rebootInstances,
  ReportInstanceStatus: reportInstanceStatus,
  ResetInstanceAttribute: resetInstanceAttribute,
  RunInstances: runInstances,
  SendDiagnosticInterrupt: sendDiagnosticInterrupt,
  StartInstances: startInstances,
  StopInstances: stopInstances,
  TerminateInstances: terminateInstances,
  UnmonitorInstances: unmonitorInstances,
} satisfies Handlers
