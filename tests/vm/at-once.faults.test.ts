/** What the control plane answers is felt by guests that run: Elastic IPs, prefix lists, keys of EC2 Instance Connect. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateManagedPrefixListCommand,
  DescribeSecurityGroupsCommand,
  ModifyManagedPrefixListCommand,
  ReleaseAddressCommand,
  RevokeSecurityGroupIngressCommand,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2"
import { EC2InstanceConnectClient, SendSSHPublicKeyCommand } from "@aws-sdk/client-ec2-instance-connect"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"
import { wrongIn } from "./orphans.ts"

const loginMs = 300_000
/** What a change may take on a machine with other work. */
const feltMs = 60_000
const keyMs = 60_000

test("guests feel addresses, prefix lists and keys while they run", async (t) => {
  const cloud = await startCloud(t, 5540)
  const asked = { ImageId: cloud.imageId, InstanceType: "t2.micro", KeyName: "test", MinCount: 2, MaxCount: 2 } as const
  await cloud.client.send(new RunInstancesCommand(asked))
  await cloud.settled(300)
  const [first, second] = await cloud.instances()
  const names = new Map<string, string>()
  for (const { InstanceId = "", PublicIpAddress: address = "" } of [first ?? {}, second ?? {}])
    names.set(InstanceId, await login(cloud, address))
  const [one = "", two = ""] = names.keys()
  const nameAt = (address: string) => inGuest(cloud, address, "hostname").catch(() => undefined)

  let sent: Sent = { id: "", address: "", withIt: cloud, endMs: 0 }
  await t.test("a key of EC2 Instance Connect opens a guest", async () => {
    sent = await temporaryKey(cloud, two)
  })
  await t.test("an Elastic IP leads to the guest that has it, and moves", async () => {
    const { AllocationId, PublicIp = "" } = await cloud.client.send(new AllocateAddressCommand({}))
    assert.equal(await banner(PublicIp), undefined)
    for (const InstanceId of [one, two, one]) {
      await cloud.client.send(new AssociateAddressCommand({ AllocationId, InstanceId }))
      await until(`${PublicIp} is ${InstanceId}`, feltMs, async () =>
        (await nameAt(PublicIp)) === names.get(InstanceId) ? true : undefined,
      )
    }
    const url = "http://169.254.169.254/latest"
    const token = `$(curl -sX PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' ${url}/api/token)`
    const ask = `curl -s -H "X-aws-ec2-metadata-token: ${token}" ${url}/meta-data/public-ipv4`
    assert.equal(await inGuest(cloud, PublicIp, ask), PublicIp)
    await cloud.client.send(new ReleaseAddressCommand({ AllocationId }))
    await until(`${PublicIp} is nobody's`, feltMs, async () =>
      (await banner(PublicIp)) === undefined ? true : undefined,
    )
    const now = await cloud.instances()
    const again = now.find(({ InstanceId }) => InstanceId === one)?.PublicIpAddress ?? ""
    assert.equal(await login(cloud, again), names.get(one), "it has an address of the pool again")
  })

  await t.test("a rule of a prefix list lets in what the list has at the moment", () => prefixList(cloud, two))
  await t.test("and after a minute not any more", () => noKeyAnyMore(cloud, sent))
  assert.deepEqual(await wrongIn(cloud), [])
})

/** Its host name, once a login works there. */
const login = (cloud: Cloud, address: string) =>
  until(`a login at ${address}`, loginMs, async () =>
    (await banner(address)) === undefined ? undefined : inGuest(cloud, address, "hostname").catch(() => undefined),
  )

async function addressOf(cloud: Cloud, id: string): Promise<string> {
  const found = (await cloud.instances()).find(({ InstanceId }) => InstanceId === id)
  return found?.PublicIpAddress ?? assert.fail(`${id} has no public address`)
}

async function prefixList(cloud: Cloud, id: string): Promise<void> {
  const { client } = cloud
  const address = await addressOf(cloud, id)
  const everybody = [{ Cidr: "0.0.0.0/1" }, { Cidr: "128.0.0.0/1" }]
  const asked = { PrefixListName: "who", AddressFamily: "IPv4", MaxEntries: 2, Entries: everybody }
  const { PrefixList } = await client.send(new CreateManagedPrefixListCommand(asked))
  const PrefixListId = PrefixList?.PrefixListId ?? ""
  const { SecurityGroups: [group] = [] } = await client.send(new DescribeSecurityGroupsCommand({}))
  const GroupId = group?.GroupId ?? ""
  const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22 }
  const byList = { GroupId, IpPermissions: [{ ...ssh, PrefixListIds: [{ PrefixListId }] }] }
  const byRange = { GroupId, IpPermissions: [{ ...ssh, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }] }
  const isOpen = (want: boolean) =>
    until(`port 22 is ${want ? "open" : "closed"}`, feltMs, async () =>
      ((await banner(address, 3_000)) !== undefined) === want ? true : undefined,
    )
  await client.send(new RevokeSecurityGroupIngressCommand(byRange))
  await isOpen(false)
  await client.send(new AuthorizeSecurityGroupIngressCommand(byList))
  await isOpen(true)
  await client.send(new ModifyManagedPrefixListCommand({ PrefixListId, RemoveEntries: everybody }))
  await isOpen(false)
  await client.send(new ModifyManagedPrefixListCommand({ PrefixListId, AddEntries: everybody }))
  await isOpen(true)
}

interface Sent {
  readonly id: string
  readonly address: string
  /** The cloud with the key that was sent, instead of its own. */
  readonly withIt: Cloud
  readonly endMs: number
}

const enter = ({ withIt, address }: Pick<Sent, "withIt" | "address">) =>
  inGuest(withIt, address, "id -un; wc -l <.ssh/authorized_keys")

async function temporaryKey(cloud: Cloud, InstanceId: string): Promise<Sent> {
  const address = await addressOf(cloud, InstanceId)
  const file = `${cloud.key}.minute`
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file])
  const SSHPublicKey = readFileSync(`${file}.pub`, "utf8").trim()
  const sent = { id: InstanceId, address, withIt: { ...cloud, key: file } }
  await assert.rejects(enter(sent), /Permission denied/)
  const { endpoint, region, credentials } = cloud.client.config
  const client = new EC2InstanceConnectClient({ endpoint: endpoint!, region, credentials, maxAttempts: 1 })
  try {
    await client.send(new SendSSHPublicKeyCommand({ InstanceId, InstanceOSUser: "ec2-user", SSHPublicKey }))
  } finally {
    client.destroy()
  }
  const endMs = performance.now() + keyMs
  const inside = await until("the key lets in", keyMs, () => enter(sent).catch(() => undefined))
  // The launch's key, and this one between its marks.
  assert.equal(inside, "ec2-user\n4")
  return { ...sent, endMs }
}

async function noKeyAnyMore(cloud: Cloud, sent: Sent): Promise<void> {
  // It was changed since.
  const address = await addressOf(cloud, sent.id)
  await delay(Math.max(0, sent.endMs - performance.now()))
  await until("the key lets nobody in any more", feltMs, () =>
    enter({ ...sent, address }).then(
      () => undefined,
      (error: Error) => (/Permission denied/.test(error.message) ? true : undefined),
    ),
  )
  assert.equal(await inGuest(cloud, address, "wc -l <.ssh/authorized_keys"), "1")
}
