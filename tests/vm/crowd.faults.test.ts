/** Ten guests of one security group: by name they reach each other when a rule says so, and no longer when it is gone. */
import assert from "node:assert/strict"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import type { Readable, Writable } from "node:stream"
import { test, type TestContext } from "node:test"
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  type Instance,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, sshWords, startCloud, until } from "./cloud.ts"
import { leftOf, wrongIn } from "./orphans.ts"

const guests = 10
const bootMs = 240_000
/** A rule is on its way to the filters for less than this. */
const ruleMs = 60_000
const port = 5000

test("ten at once reach each other by name as their group says", async (t) => {
  const cloud = await startCloud(t, 5206)
  const InstanceIds = await crowd(t, cloud)
  await cloud.client.send(new TerminateInstancesCommand({ InstanceIds }))
  await cloud.settled()
  assert.deepEqual(await wrongIn(cloud), [], "after all were terminated")
  await cloud.down()
  assert.deepEqual(leftOf(cloud), [], "after down")
})

/** Gives their ids. */
async function crowd(t: TestContext, cloud: Cloud): Promise<string[]> {
  const GroupId = await makeGroup(cloud)
  const startMs = performance.now()
  const count = { MinCount: guests, MaxCount: guests }
  const wanted = { ImageId: cloud.imageId, InstanceType: "t2.nano", KeyName: "test", ...count } as const
  const made = await cloud.client.send(new RunInstancesCommand({ ...wanted, SecurityGroupIds: [GroupId] }))
  const ids = new Set(made.Instances?.map(({ InstanceId }) => InstanceId))
  assert.equal(ids.size, guests)
  const running = await until("all run", bootMs, async () => {
    const found = (await cloud.instances()).filter(({ InstanceId }) => ids.has(InstanceId))
    return found.every(({ State }) => State?.Name === "running") ? found : undefined
  })
  t.diagnostic(`${guests} are running after ${(performance.now() - startMs) | 0} ms`)
  await Promise.all(running.map((instance) => letIn(cloud, instance)))
  t.diagnostic(`${guests} let their key in after ${(performance.now() - startMs) | 0} ms`)

  const [one, two] = running
  assert.ok(one && two)
  assert.equal(await pings(cloud, one, two), false, "no rule lets a ping in")
  assert.equal(await connects(cloud, one, two), false, "nor a connection")
  const icmp = { IpProtocol: "icmp", FromPort: -1, ToPort: -1, UserIdGroupPairs: [{ GroupId }] }
  const tcp = { IpProtocol: "tcp", FromPort: port, ToPort: port, UserIdGroupPairs: [{ GroupId }] }
  await cloud.client.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [icmp, tcp] }))
  await until("the rule lets a ping in", ruleMs, async () => (await pings(cloud, one, two)) || undefined)
  const ring = await Promise.all(running.map((from, at) => pings(cloud, from, running[(at + 1) % guests]!)))
  assert.deepEqual(ring, Array<boolean>(guests).fill(true), "each pings the next by its name")
  await revoked(t, cloud, { one, two, GroupId, tcp })
  return running.flatMap(({ InstanceId }) => InstanceId ?? [])
}

async function makeGroup(cloud: Cloud): Promise<string> {
  const group = { GroupName: "crowd", Description: "guests that know each other" }
  const { GroupId = "" } = await cloud.client.send(new CreateSecurityGroupCommand(group))
  const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }
  await cloud.client.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [ssh] }))
  return GroupId
}

const letIn = (cloud: Cloud, { InstanceId, PublicIpAddress: address = "" }: Instance) =>
  until(`${InstanceId} lets its key in`, bootMs, async () =>
    (await banner(address)) === undefined ? undefined : inGuest(cloud, address, "id").catch(() => undefined),
  )

const says = async (cloud: Cloud, { PublicIpAddress: address = "" }: Instance, question: string): Promise<boolean> => {
  const answer = await inGuest(cloud, address, `if ${question} >/dev/null 2>&1; then echo yes; else echo no; fi`)
  assert.match(answer, /^(yes|no)$/)
  return answer === "yes"
}

const nameOf = ({ PrivateDnsName: name = "" }: Instance) => {
  assert.match(name, /^ip-[0-9-]+\.ec2\.internal$/)
  return name
}

const pings = (cloud: Cloud, from: Instance, to: Instance) => says(cloud, from, `ping -c 1 -W 4 ${nameOf(to)}`)

const connects = (cloud: Cloud, from: Instance, to: Instance) =>
  says(cloud, from, `timeout 4 bash -c 'exec 3<>/dev/tcp/${nameOf(to)}/${port}'`)

interface Pair {
  readonly one: Instance
  readonly two: Instance
  readonly GroupId: string
  readonly tcp: IpPermission
}

async function revoked(t: TestContext, cloud: Cloud, { one, two, GroupId, tcp }: Pair): Promise<void> {
  const serve = `nohup nc -ll -p ${port} -e /bin/cat >/dev/null 2>&1 </dev/null & echo served`
  assert.equal(await inGuest(cloud, two.PublicIpAddress ?? "", serve), "served")
  await until("a connection by name", ruleMs, async () => (await connects(cloud, one, two)) || undefined)
  const open = conversation(t, cloud, one, two)
  await open.exchange("before")
  await cloud.client.send(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: [tcp] }))
  const revokedMs = performance.now()
  await until("new connections are cut", ruleMs, async () => ((await connects(cloud, one, two)) ? undefined : true))
  t.diagnostic(
    `a revoke cut new connections within ${(performance.now() - revokedMs) | 0} ms, with the 4 s of a failed one`,
  )
  await open.exchange("after the revoke")
  assert.equal(await pings(cloud, one, two), true, "the other rule stands")
}

/** A connection from one guest to another's echo, held open by a shell that an SSH session feeds. */
function conversation(t: TestContext, cloud: Cloud, from: Instance, to: Instance) {
  const loop =
    'while IFS= read -r line; do printf "%s\\n" "$line" >&3; IFS= read -r -t 20 back <&3 && echo "back: $back"; done'
  const script = `exec bash -c 'exec 3<>/dev/tcp/${nameOf(to)}/${port}; ${loop}'`
  const session: ChildProcessByStdio<Writable, Readable, null> = spawn(
    "ssh",
    [...sshWords(cloud, from.PublicIpAddress ?? ""), script],
    { stdio: ["pipe", "pipe", "ignore"] },
  )
  t.after(() => session.kill("SIGKILL"))
  let text = ""
  session.stdout.setEncoding("utf8").on("data", (part: string) => (text += part))
  return {
    exchange: async (line: string) => {
      session.stdin.write(`${line}\n`)
      await until(`"${line}" comes back`, 60_000, async () => text.includes(`back: ${line}\n`) || undefined)
    },
  }
}
