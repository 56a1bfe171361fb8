import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { openHistory } from "#store/history/open.ts"
import type { Json } from "#store/types.ts"
import { createTrail, type EventPlace, type Trail, type TrailCall } from "./trail.ts"

const scope = { account: "123456789012", region: "us-east-1" }
const arn = "arn:aws:iam::123456789012:root"
const some: TrailCall = {
  caller: { account: scope.account, accessKeyId: "AKIA", arn, userId: "123456789012" },
  region: scope.region,
  sourceAddress: "127.0.0.1",
  userAgent: "",
  requestId: "",
  service: "ec2",
  operation: "DescribeVpcs",
  code: "",
  message: "",
}

async function withTrail(
  body: (trail: Trail, at: (ms: number) => void) => Promise<void>,
  before: readonly Json[] = [],
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "fractus-trail-"))
  let nowMs = 1_000_000
  const clock = { cloudMs: () => nowMs }
  const older = await openHistory({ directory, clock })
  for (const row of before) older.append(`calls ${scope.account} ${scope.region}`, nowMs, row)
  await older.close()
  const failed: unknown[] = []
  const trail = createTrail(
    () => openHistory({ directory, clock }),
    clock,
    (_, error) => failed.push(error),
  )
  try {
    await body(trail, (ms) => (nowMs = ms))
    assert.deepEqual(failed, [])
  } finally {
    await trail.close()
    rmSync(directory, { recursive: true })
  }
}

async function all(trail: Trail, fromMs: number, toMs: number) {
  const seen = []
  let next: EventPlace | undefined
  do {
    const page = await trail.read(scope, fromMs, toMs, next)
    seen.push(...page.events)
    next = page.next
  } while (next)
  return seen
}

test("every call is read once, newest first, over rows and pages, and by time", () =>
  withTrail(async (trail, at) => {
    const calls = 1500
    for (let call = 0; call < calls; call++) {
      at(1_000_000 + call)
      const userAgent = `agent ${call % 3}`
      trail.record({ ...some, userAgent, requestId: `request ${call}` })
      if (call % 400 === 0) await trail.read(scope, 0, 1, undefined)
    }
    trail.record({ ...some, region: "eu-west-1", requestId: "elsewhere" })
    const seen = await all(trail, 0, Infinity)
    const expected = Array.from({ length: calls }, (_, index) => `request ${calls - 1 - index}`)
    assert.deepEqual(
      seen.map(({ event }) => event.requestId),
      expected,
    )
    assert.equal(new Set(seen.map(({ event }) => event.eventId)).size, calls)
    assert.match(seen[0]?.event.eventId ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.deepEqual([seen[0]?.event.userAgent, seen[1]?.event.userAgent], ["agent 2", "agent 1"])
    const few = await all(trail, 1_000_010, 1_000_013)
    assert.deepEqual(
      few.map(({ event }) => event.requestId),
      ["request 12", "request 11", "request 10"],
    )
    // From the middle of a row.
    const middle = seen[700]
    const rest = await trail.read(scope, 0, Infinity, middle?.place)
    assert.equal(rest.events[0]?.event.requestId, expected[701])
    await trail.reset()
    assert.deepEqual(await all(trail, 0, Infinity), [])
  }))

test("long texts are cut, and rows that they make too long are split", () =>
  withTrail(async (trail) => {
    const long = "\u0001".repeat(5000)
    for (let call = 0; call < 64; call++)
      trail.record({ ...some, userAgent: `${call}${long}`, requestId: `r${call}`, code: "Bad", message: long })
    const seen = await all(trail, 0, Infinity)
    assert.equal(seen.length, 64)
    assert.ok(seen.every(({ event }) => event.message?.length === 250 && event.userAgent.length === 250))
  }))

test("rows of another form, as older homes have them, are passed over", () =>
  withTrail(
    async (trail, at) => {
      at(1_000_001)
      trail.record({ ...some, requestId: "ours" })
      assert.deepEqual(
        (await all(trail, 0, 2_000_000)).map(({ event }) => event.requestId),
        ["ours"],
      )
    },
    [[{ requestId: "theirs", operation: "DescribeVpcs" }], { calls: [] }, "text"],
  ))
