import assert from "node:assert/strict"
import { test } from "node:test"
import { timed } from "#lib/trace.ts"
import type { GuestSpec } from "./protocol/types.ts"
import { createTraces, wishWords } from "./trace.ts"

const clockAt = (now: { ms: number }) => ({
  cloudMs: () => now.ms,
  wallMs: () => now.ms,
  monotonicMs: () => now.ms,
  speed: 1,
})
const pass = (resource: string, routine = false) => ({ resource, generation: 7, routine })

test("what runs below a pass is kept as its resource's, also side by side", async () => {
  const traces = createTraces(clockAt({ ms: 1000 }))
  const work = (name: string) => async () => {
    await timed(
      "step",
      () => `step of ${name}`,
      async () => {
        await new Promise(setImmediate)
        await timed(
          "command",
          () => `command of ${name}`,
          () => {},
        )
      },
    )
    return name
  }
  await Promise.all(["i-1", "i-2"].map((id) => traces.pass(pass(id), work(id), () => "settled")))
  for (const id of ["i-1", "i-2"]) {
    const kept = traces
      .read(id)
      .entries.map(({ level, what }) => `${level}: ${what}`)
      .toSorted()
    assert.deepEqual(kept, [`command: command of ${id}`, "pass: settled", `step: step of ${id}`], id)
  }
})

test("a failure is kept with its message, and thrown on", async () => {
  const traces = createTraces(clockAt({ ms: 1000 }))
  const fail = () =>
    timed(
      "command",
      () => "nft -f -",
      () => {
        throw new Error("exit 1\nsyntax error")
      },
    )
  await assert.rejects(traces.pass(pass("vpc-1", true), fail, String), /syntax error/)
  const [outer, inner] = traces
    .read("vpc-1")
    .entries.toSorted((a, b) => a.level.localeCompare(b.level))
    .toReversed()
  assert.equal(outer?.error, "exit 1 syntax error")
  assert.equal(inner?.what, "nft -f -")
  assert.equal(inner?.generation, 7)
})

test("a routine look that finds nothing leaves no entry", async () => {
  const traces = createTraces(clockAt({ ms: 1000 }))
  await traces.pass(
    pass("vpc-1", true),
    () =>
      timed(
        "command",
        () => "ip link",
        async () => {},
      ),
    () => "settled",
  )
  assert.deepEqual(traces.read("vpc-1"), { entries: [], dropped: 0 })
})

test("traces are bounded, by entries and by resources, and end an hour after their resource", () => {
  const now = { ms: 1000 }
  const traces = createTraces(clockAt(now), { entries: 3, resources: 2, keepMs: 3_600_000 })
  for (let at = 0; at < 5; at++) traces.wished("vol-1", at, undefined)
  assert.deepEqual(
    traces.read("vol-1").entries.map(({ generation }) => generation),
    [2, 3, 4],
  )
  assert.equal(traces.read("vol-1").dropped, 2)
  traces.wished("vol-2", 1, undefined)
  traces.wished("vol-3", 1, undefined)
  assert.equal(traces.read("vol-1").entries.length, 0)
  traces.gone("vol-2")
  now.ms += 3_500_000
  traces.tidy()
  assert.equal(traces.read("vol-2").entries.length, 1)
  now.ms += 200_000
  traces.tidy()
  assert.equal(traces.read("vol-2").entries.length, 0)
  assert.equal(traces.read("vol-3").entries.length, 1)
})

test("a wish in words tells nothing of the metadata document", () => {
  const spec = { kind: "guest", power: "on", starts: 1, resets: 0, image: "ami-1", vcpus: 1, memoryMiB: 512 }
  const words = wishWords({ ...spec, metadata: { userData: "c2VjcmV0" } } as unknown as GuestSpec)
  assert.equal(words, "guest on, start 1, reset 0, 1 vCPUs, 512 MiB, ami-1")
})
