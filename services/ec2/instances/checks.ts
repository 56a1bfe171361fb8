/**
 * Status checks as the host sees them, kept in the instance's record. What "Status checks for your instances" calls the instance check is
 * whether the guest answers, the system check whether its machine and the host's disk are there.
 */
import type { GuestStatus } from "#host/protocol/types.ts"
import type { InstanceRecord } from "./record.ts"

/** Since when is cloud time. */
export interface Check {
  readonly status: "passed" | "failed"
  readonly sinceMs: number
}
export interface Checks {
  readonly instance?: Check
  readonly system?: Check
}

/**
 * What keeps a running instance from going on: the host's disk is full, its own kernel panicked, or its machine ended and is being
 * recovered or stays down.
 */
export interface Impairment {
  readonly code: "disk-full" | "crashed" | "ended"
  readonly sinceMs: number
}

/** The record of a running instance after its guest was seen; the same one when that is no news. */
export function noteChecks(before: InstanceRecord, status: GuestStatus, nowMs: number): InstanceRecord {
  const code = impairmentOf(status)
  const { impaired, checks = {}, stateReason, ...record } = before
  // Another machine runs now: what its forerunner answered says nothing of it.
  const back = impaired?.code === "ended" && code !== "ended"
  const instance = checkAfter(back ? undefined : checks.instance, status.checks?.instance, nowMs)
  const system = checkAfter(checks.system, status.checks?.system, nowMs)
  const reason = code === "ended" ? endReason(status) : back ? undefined : stateReason
  const same =
    code === impaired?.code &&
    instance === checks.instance &&
    system === checks.system &&
    reason?.message === stateReason?.message
  if (same) return before
  const keptSince = code === impaired?.code ? impaired?.sinceMs : undefined
  return {
    ...record,
    ...(code === undefined ? {} : { impaired: { code, sinceMs: keptSince ?? nowMs } }),
    ...(reason === undefined ? {} : { stateReason: reason }),
    checks: { ...(instance === undefined ? {} : { instance }), ...(system === undefined ? {} : { system }) },
  }
}

function impairmentOf({ phase, trouble }: GuestStatus): Impairment["code"] | undefined {
  if (phase !== "on") return "ended"
  return trouble?.code === "disk-full" || trouble?.code === "crashed" ? trouble.code : undefined
}

const checkAfter = (before: Check | undefined, said: Check["status"] | undefined, nowMs: number): Check | undefined =>
  said === undefined || said === before?.status ? before : { status: said, sinceMs: nowMs }

/** Of a machine that stays down; while it is being started again there is none. */
function endReason({ phase, cause, trouble }: GuestStatus): InstanceRecord["stateReason"] {
  if (phase !== "off") return undefined
  const why = trouble?.message ?? `the machine ended (${cause ?? "unknown"})`
  return { code: "Server.InternalError", message: `Server.InternalError: ${why}` }
}
