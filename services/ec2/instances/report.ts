/**
 * ReportInstanceStatus: what somebody says of running instances. It changes nothing that DescribeInstanceStatus answers; it is written into
 * the store's history, an event for each instance.
 */
import { raise } from "../errors.ts"
import type { Handler, Input } from "../handler.ts"
import { readInstances } from "./ids.ts"

const reasons: readonly string[] = [
  "instance-stuck-in-state",
  "not-accepting-credentials",
  "other",
  "password-not-available",
  "performance-ebs-volume",
  "performance-instance-store",
  "performance-network",
  "performance-other",
  "unresponsive",
]
const descriptionLength = 4096

export const reportInstanceStatus: Handler<"ReportInstanceStatus"> = async (input, call) => {
  const detail = readReport(input)
  const instances = await readInstances(call, input.Instances)
  call.authorize("ec2:ReportInstanceStatus", ...instances)
  for (const { id, record } of instances) {
    if (record.state !== "running")
      throw raise("IncorrectInstanceState", { detail: `The instance '${id}' is not in the 'running' state.` })
    call.draft.event("instance-report", id, detail)
  }
  await call.commit()
  return {}
}

function readReport(input: Input<"ReportInstanceStatus">) {
  const { Status: status, ReasonCodes: codes = [], StartTime: start, EndTime: end, Description: description } = input
  if (status !== "ok" && status !== "impaired") throw wrong("Status", status, ["ok", "impaired"])
  if (codes.length === 0) throw raise("MissingParameter", { name: "ReasonCodes" })
  const bad = codes.find((code) => !reasons.includes(code))
  if (bad !== undefined) throw wrong("ReasonCodes", bad, reasons)
  if (start !== undefined && end !== undefined && start > end)
    throw raise("InvalidParameterCombination", { detail: "The start time must be before the end time." })
  if ((description?.length ?? 0) > descriptionLength)
    throw raise("InvalidParameterValue", {
      detail: `The description has more than ${descriptionLength} characters.`,
    })
  return {
    status,
    reasons: [...new Set(codes)],
    ...(start === undefined ? {} : { startMs: start.getTime() }),
    ...(end === undefined ? {} : { endMs: end.getTime() }),
    ...(description === undefined ? {} : { description }),
  }
}

function wrong(name: string, value: string | undefined, allowed: readonly string[]) {
  if (value === undefined) return raise("MissingParameter", { name })
  return raise("InvalidParameterValue", {
    detail: `Value (${value}) for parameter ${name} is invalid. Expected: ${allowed.join(", ")}.`,
  })
}
