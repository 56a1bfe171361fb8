/** Two guests of one account, of which the first attacks, and one of another account, open to ssh from everywhere. */
import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2"
import type { Credentials } from "#daemon/home-records.ts"
import { type Ears, type Guest, listener, packTools, sender, type Shell, shellOf, unpack } from "./attacker.ts"
import { type Cloud, until } from "./cloud.ts"

export interface Scene {
  readonly cloud: Cloud
  readonly me: Guest
  readonly victim: Guest
  readonly stranger: Guest
  readonly mine: Shell
  readonly theirs: Shell
  /** Sends from the attacker's card. */
  readonly send: (...lines: string[]) => Promise<void>
  /** At the victim's card. */
  readonly ears: Ears
  /** The hardware address of the gateway. */
  readonly router: string
}

export type Attack = readonly [what: string, outcome: (scene: Scene) => Promise<string>]

/** Three guests that boot at once under emulation on a busy machine take their time. */
const bootMs = 180_000

async function launch(client: EC2Client, cloud: Cloud, count: number, KeyName?: string): Promise<readonly Guest[]> {
  const run = { ImageId: cloud.imageId, MinCount: count, MaxCount: count, InstanceType: "t3.nano", KeyName } as const
  const { Instances: made = [] } = await client.send(new RunInstancesCommand(run))
  const InstanceIds = made.map(({ InstanceId = "" }) => InstanceId)
  return until("guests that run", bootMs, async () => {
    const { Reservations: found = [] } = await client.send(new DescribeInstancesCommand({ InstanceIds }))
    const now = found.flatMap((reservation) => reservation.Instances ?? [])
    if (now.length !== count || now.some(({ State }) => State?.Name !== "running")) return undefined
    return now.map((each) => ({
      id: each.InstanceId ?? "",
      privateAddress: each.PrivateIpAddress ?? "",
      publicAddress: each.PublicIpAddress ?? "",
      mac: each.NetworkInterfaces?.[0]?.MacAddress ?? "",
    }))
  })
}

/** A client with the keys of an account made now, whose default group lets ssh in from everywhere. */
async function otherAccount(t: TestContext, { home, port }: Cloud): Promise<EC2Client> {
  const { controlToken, region }: Credentials = JSON.parse(readFileSync(join(home, "credentials.json"), "utf8"))
  const endpoint = `http://127.0.0.1:${port}`
  const answer = await fetch(`${endpoint}/_fractus/accounts`, {
    method: "POST",
    headers: { "x-fractus-token": controlToken, "content-type": "application/json" },
    body: JSON.stringify({ name: "stranger" }),
  })
  const keys: Pick<Credentials, "accessKeyId" | "secretAccessKey"> = JSON.parse(await answer.text())
  assert.equal(answer.status, 200, JSON.stringify(keys))
  const client = new EC2Client({ endpoint, region, credentials: keys, maxAttempts: 1 })
  t.after(() => client.destroy())
  const ssh = { GroupName: "default", IpProtocol: "tcp", FromPort: 22, ToPort: 22, CidrIp: "0.0.0.0/0" }
  await client.send(new AuthorizeSecurityGroupIngressCommand(ssh))
  return client
}

export async function setScene(t: TestContext, cloud: Cloud): Promise<Scene> {
  const directory = mkdtempSync(join(tmpdir(), "fractus-attacks-"))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const archive = packTools(directory)
  const foreign = await otherAccount(t, cloud)
  const [[me, victim], [stranger]] = await Promise.all([
    launch(cloud.client, cloud, 2, "test"),
    launch(foreign, cloud, 1),
  ])
  assert.ok(me && victim && stranger)
  const [mine, theirs] = [shellOf(t, cloud, me), shellOf(t, cloud, victim)]
  await Promise.all(
    [mine, theirs].map((shell) => until("a login", bootMs, async () => (await unpack(archive, shell)) || undefined)),
  )
  // Asked once, the gateway's card is known, and the victim's own kernel has nothing to ask either.
  const shown = await mine.run("ping -c1 -W5 172.31.0.1 >/dev/null; cat /proc/net/arp")
  const router = /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(shown)?.[0]
  assert.ok(router, `the gateway's card in ${shown}`)
  const [send, ears] = await Promise.all([sender(mine), listener(theirs)])
  return { cloud, me, victim, stranger, mine, theirs, send, ears, router }
}
