import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { test } from "node:test"
import { DescribeVpcsCommand, EC2Client } from "@aws-sdk/client-ec2"
import { type SimDaemon, startSimDaemon } from "./daemon.ts"

const lives = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const ask = async ({ endpoint, credentials }: SimDaemon) => {
  const client = new EC2Client({ endpoint, region: "us-east-1", credentials, maxAttempts: 1 })
  try {
    return (await client.send(new DescribeVpcsCommand({}))).Vpcs?.[0]?.VpcId
  } finally {
    client.destroy()
  }
}

test("a killed daemon comes back on its home and port; a stopped one leaves nothing", async (t) => {
  const daemon = await startSimDaemon()
  t.after(() => daemon.stop())
  const vpc = await ask(daemon)
  assert.match(vpc ?? "", /^vpc-[0-9a-f]{17}$/)
  const first = daemon.pid
  await daemon.kill9()
  assert.equal(lives(first), false)
  await daemon.restart()
  assert.notEqual(daemon.pid, first)
  assert.equal(await ask(daemon), vpc)
  await daemon.settled()
  const second = daemon.pid
  await daemon.stop()
  assert.equal(lives(second), false)
  assert.equal(existsSync(daemon.home), false)
})

test("a daemon that cannot start says why and leaves nothing", async (t) => {
  const daemon = await startSimDaemon()
  t.after(() => daemon.stop())
  await assert.rejects(startSimDaemon({ port: Number(new URL(daemon.endpoint).port) }), /EADDRINUSE/)
})
