/** The operations of instances. */
import { pure } from "#cloud/service.ts"
import type { Handlers } from "../handler.ts"
import { describeInstanceAttribute } from "./attributes/describe.ts"
import { modifyInstanceAttribute } from "./attributes/modify.ts"
import { resetInstanceAttribute } from "./attributes/reset.ts"
import { getConsoleOutput } from "./console.ts"
import { describeInstances, describeInstanceStatus } from "./describe.ts"
import { modifyInstanceMetadataOptions } from "./modify-metadata-options.ts"
import { runInstances } from "./launch/run.ts"
import { rebootInstances, startInstances, stopInstances, terminateInstances } from "./lifecycle.ts"
import { getConsoleScreenshot } from "./screenshot.ts"

export const handlers = {
  DescribeInstanceAttribute: pure(describeInstanceAttribute),
  DescribeInstances: pure(describeInstances),
  DescribeInstanceStatus: describeInstanceStatus,
  GetConsoleOutput: getConsoleOutput,
  GetConsoleScreenshot: getConsoleScreenshot,
  ModifyInstanceAttribute: modifyInstanceAttribute,
  ModifyInstanceMetadataOptions: modifyInstanceMetadataOptions,
  RebootInstances: rebootInstances,
  ResetInstanceAttribute: resetInstanceAttribute,
  RunInstances: runInstances,
  StartInstances: startInstances,
  StopInstances: stopInstances,
  TerminateInstances: terminateInstances,
} satisfies Handlers
