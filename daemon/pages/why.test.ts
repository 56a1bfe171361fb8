/** `fractus why` on a simulated cloud: the chain from a call to what the host did, over the page and the CLI. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { test } from "node:test"
import { EC2Client, RunInstancesCommand, StopInstancesCommand, DescribeImagesCommand } from "@aws-sdk/client-ec2"
import { assertSchema } from "#cli/fixture/schema.ts"
import { startSimDaemon, type SimDaemon } from "#tests/rig/daemon.ts"
import type { Why } from "./why.ts"

const secret = "a password that must stay inside"
const main = new URL("../../cli/main.ts", import.meta.url).pathname

async function ask(daemon: SimDaemon, resource: string, token = daemon.credentials.controlToken) {
  const headers = { "x-fractus-token": token }
  const answer = await fetch(`${daemon.endpoint}/_fractus/why?resource=${resource}`, { headers })
  return { status: answer.status, text: await answer.text() }
}

async function launched(daemon: SimDaemon) {
  const { accessKeyId, secretAccessKey, region } = daemon.credentials
  const client = new EC2Client({ endpoint: daemon.endpoint, region, credentials: { accessKeyId, secretAccessKey } })
  const { Images = [] } = await client.send(new DescribeImagesCommand({}))
  const answer = await client.send(
    new RunInstancesCommand({
      ImageId: Images[0]?.ImageId,
      InstanceType: "t3.micro",
      MinCount: 1,
      MaxCount: 1,
      UserData: Buffer.from(secret).toString("base64"),
    }),
  )
  await daemon.settled()
  return { client, id: answer.Instances?.[0]?.InstanceId ?? "", request: answer.$metadata.requestId }
}

test("why tells calls, versions, generations and steps, and no secret", async (context) => {
  const daemon = await startSimDaemon()
  context.after(() => daemon.stop())
  const { client, id, request } = await launched(daemon)
  const { status, text } = await ask(daemon, id)
  assert.equal(status, 200)
  const first: Why = JSON.parse(text)
  const [call] = first.calls
  assert.equal(call?.operation, "RunInstances")
  assert.equal(call.requestId, request)
  assert.equal(call.version, 1)
  assert.equal(first.state, "running")
  const steps = first.host?.entries.filter(({ level }) => level === "step") ?? []
  assert.ok(steps.some(({ what }) => what === "guest running"))
  assert.ok(steps.every(({ generation }) => generation === call.generation))
  assert.ok(first.needs.some((need) => need.kind === "volume" && need.host?.entries.some((e) => e.level === "call")))
  for (const hidden of [secret, Buffer.from(secret).toString("base64"), daemon.credentials.secretAccessKey])
    assert.ok(!text.includes(hidden))

  await client.send(new StopInstancesCommand({ InstanceIds: [id], Force: true }))
  await daemon.settled()
  await daemon.restart()
  const after: Why = JSON.parse((await ask(daemon, id)).text)
  assert.deepEqual(
    after.calls.slice(0, 2).map(({ operation }) => operation),
    ["RunInstances", "StopInstances"],
  )
  assert.ok(Number(after.calls[1]?.generation) > Number(call.generation))

  const env = { ...daemon.env, FRACTUS_HOME: daemon.home }
  const run = (...more: string[]) =>
    execFileSync(process.execPath, [main, "why", id, ...more], { env, encoding: "utf8" })
  assertSchema("why", run("--json"))
  assert.match(run(), /StopInstances i-\w+: version \d+, generation \d+, request /)
})

test("why is for who holds the token, and knows what it does not know", async (context) => {
  const daemon = await startSimDaemon()
  context.after(() => daemon.stop())
  assert.equal((await ask(daemon, "i-00000000000000000", "guess")).status, 403)
  assert.equal((await ask(daemon, "i-00000000000000000")).status, 404)
  assert.equal((await ask(daemon, "..%2Fetc")).status, 400)
})
