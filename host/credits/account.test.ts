/** Accounts of CPU time, with the figures of EC2's user guide and a time of the test's own. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { type Balance, drawUp, shareOf } from "./account.ts"

const hourMs = 3_600_000
const minuteMs = 60_000
/** t3.micro: 12 credits an hour, 10 % of each of its two vCPUs. */
const standard = { perHour: 12, most: 288, atStart: 0, keptMs: 7 * 24 * hourMs, surplus: false }
const unlimited = { ...standard, surplus: true }
/** t2.micro */
const t2 = { perHour: 6, most: 144, atStart: 30, keptMs: 0, surplus: false }
const seen = { nowMs: 0, starts: 1, process: "1@1", usedMs: 0 }

/** So many hours later, after so many minutes of CPU. */
const later = (account: typeof standard, before: Balance, hours: number, minutes: number) =>
  drawUp(account, before, {
    ...before,
    nowMs: before.atMs + hours * hourMs,
    usedMs: before.usedMs + minutes * minuteMs,
  })
const near = (is: number, should: number) => assert.ok(Math.abs(is - should) < 1e-6, `${is}, not ${should}`)

test("an idle instance earns up to what a day earns; a busy one spends it, down to its baseline", () => {
  const first = drawUp(standard, undefined, seen)
  assert.deepEqual([first.earned, first.given], [0, 0])
  assert.equal(shareOf(standard, first, 200, 10_000), 20, "with nothing earned it has its baseline")
  const idle = later(standard, first, 1, 0)
  near(idle.earned, 12)
  assert.equal(shareOf(standard, idle, 200, 10_000), 200)
  near(later(standard, first, 100, 0).earned, 288)
  near(later(standard, idle, 1, 12).earned, 12)
  near(later(standard, idle, 0.1, 7.2).earned, 12 + 1.2 - 7.2)
  const spent = later(standard, idle, 0.1, 12)
  near(spent.earned, 1.2)
  // What is left, 72 s of CPU, lasts for 40 s of both vCPUs above the baseline, and is never overdrawn.
  assert.equal(shareOf(standard, spent, 200, 10_000), 200)
  near(shareOf(standard, { ...spent, earned: 0.1 }, 200, 10_000), 20 + 60)
  const over = later(standard, spent, 0, 5)
  assert.deepEqual([over.earned, over.surplus, over.charged], [0, 0, 0])
  near(over.spent, 17)
})

test("launch credits come first, beside the most that is earned, and anew with each start of a T2", () => {
  const first = drawUp(t2, undefined, seen)
  assert.equal(first.given, 30)
  const full = later(t2, first, 48, 0)
  assert.deepEqual([full.earned, full.given], [144, 30])
  const used = later(t2, full, 0, 40)
  assert.deepEqual([used.earned, used.given], [134, 0])
  const again = drawUp(t2, used, { ...seen, starts: 2, nowMs: used.atMs + 1000 })
  assert.deepEqual([again.earned, again.given], [0, 30])
})

test("what a T3 earned outlives a stop of less than seven days, in which it earns nothing", () => {
  const earned = later(standard, drawUp(standard, undefined, seen), 2, 0)
  const restart = (days: number) =>
    drawUp(standard, earned, { starts: 2, process: "2@9", usedMs: 100, nowMs: earned.atMs + days * 24 * hourMs })
  near(restart(6).earned, 24)
  near(restart(7).earned, 0)
  near(drawUp({ ...standard, most: 10 }, earned, { ...seen, starts: 2, nowMs: earned.atMs }).earned, 10)
})

test("an unlimited instance runs up surplus, earns it back, and is charged for more than a day earns and at a stop", () => {
  const first = drawUp(unlimited, undefined, seen)
  assert.equal(shareOf(unlimited, first, 200, 10_000), 200)
  const busy = later(unlimited, first, 1, 120)
  near(busy.surplus, 108)
  near(busy.earned, 0)
  const idle = later(unlimited, busy, 10, 0)
  assert.deepEqual([idle.surplus, Math.round(idle.earned), idle.charged], [0, 12, 0])
  const wild = later(unlimited, first, 4, 480)
  near(wild.surplus, 288)
  near(wild.charged, 480 - 48 - 288)
  const stopped = drawUp(unlimited, busy, { ...seen, starts: 2, nowMs: busy.atMs })
  near(stopped.charged, 108)
  const changed = later(standard, busy, 0, 0)
  assert.equal(changed.surplus, 0)
  near(changed.charged, 108)
})

test("a process that took the place of another is counted from its beginning, and no clock takes credits away", () => {
  const earned = later(standard, drawUp(standard, undefined, seen), 1, 3)
  near(earned.earned, 9)
  const other = drawUp(standard, earned, { ...seen, process: "2@9", usedMs: minuteMs, nowMs: earned.atMs })
  near(other.earned, 8)
  near(later(standard, earned, -5, 0).earned, 9)
})
