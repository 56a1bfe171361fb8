import assert from "node:assert/strict"
import { test } from "node:test"
import { normalise } from "./transcript.ts"

const [a, b] = ["i-0123456789abcdef0", "i-0fedcba9876543210"]

test("two clouds that told the same look the same, and only those", () => {
  const one = { second: [a, b, a], at: "2026-01-02T03:04:05.678Z", dns: "ip-172-31-0-9.ec2.internal", ip: "172.31.0.9" }
  const same = {
    ip: "172.31.7.1",
    dns: "ip-172-31-7-1.ec2.internal",
    at: "2027-01-02T03:04:05+00:00",
    second: [b, a, b],
  }
  assert.deepEqual(normalise(one), normalise(same))
  assert.deepEqual(normalise(one), {
    at: "<time>",
    dns: "ip-<address 1>.ec2.internal",
    ip: "<address 1>",
    second: ["<i 1>", "<i 2>", "<i 1>"],
  })
  for (const other of [
    { ...one, second: [a, b, b] },
    { ...one, dns: "ip-172-31-0-8.ec2.internal" },
    { ...one, at: undefined },
    { ...one, more: [] },
    { ...one, second: [a, b] },
  ])
    assert.notDeepEqual(normalise(other), normalise(one), JSON.stringify(other))
})

test("networks keep their names, addresses lose theirs", () => {
  assert.deepEqual(normalise(["172.31.0.0/16", "172.31.16.0/20", "0.0.0.0/0", "198.18.3.4"]), [
    "172.31.0.0/16",
    "172.31.16.0/20",
    "0.0.0.0/0",
    "<address 1>",
  ])
})
