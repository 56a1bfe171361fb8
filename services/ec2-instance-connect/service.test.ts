/** The keys that a guest may read, as its host is told. */
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { test } from "node:test"
import { runCall } from "#cloud/call.ts"
import type { Clock } from "#lib/clock.ts"
import type { GuestSpec } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { account, openRig, region } from "../../tests/ec2/rig.ts"
import { registerPublicImages } from "../ec2/images/register.ts"
import { toAuthorizedKey } from "../ec2/key-pairs/public-key.ts"
import { observe } from "../ec2/service.ts"
import { handlers } from "./service.ts"

const name = "fractus-micro-test-x86_64"
const newKey = (comment: string) => toAuthorizedKey(generateKeyPairSync("ed25519").publicKey, comment)

test("a key stands in the metadata under its user for 60 seconds, beside others, and goes with the next one", async (t) => {
  const rig = await openRig(t)
  const facts = { description: "", rootDeviceName: "/dev/xvda", sizeBytes: 2 ** 30, createdMs: 0 }
  await registerPublicImages(rig.cloud, [{ ...facts, id: imageIdOf(name), name, architecture: "x86_64" }])
  const one = { ImageId: imageIdOf(name), InstanceType: "t3.micro" as const, MinCount: 1, MaxCount: 1 }
  const { Instances: [made] = [] } = await rig.ec2("RunInstances", one)
  const InstanceId = made?.InstanceId ?? assert.fail("no instance")
  const status = { kind: "guest", phase: "on", starts: 1, resets: 0 } as const
  await observe(rig.cloud, { resource: InstanceId, generation: 1, status })
  let nowMs = 1_000_000
  const clock: Clock = { ...rig.cloud.clock, cloudMs: () => nowMs }
  const send = (InstanceOSUser: string, SSHPublicKey: string, as = account) => {
    const caller = { account: as, arn: `arn:aws:iam::${as}:root`, userId: as }
    const info = { requestId: "1", operation: "SendSSHPublicKey", region, caller }
    const input = { InstanceId, InstanceOSUser, SSHPublicKey }
    return runCall({ ...rig.cloud, clock }, info, false, (call) => handlers.SendSSHPublicKey(input, call))
  }
  const keys = async () => {
    const rows = await rig.cloud.store.assignments("local")
    const spec = rows.find(({ resource }) => resource === InstanceId)?.spec as GuestSpec | undefined
    return spec?.metadata.temporary?.map(({ path, text, untilMs }) => [path, text, untilMs])
  }
  const path = (user: string) => `meta-data/managed-ssh-keys/active-keys/${user}`
  const [first, second] = [newKey("ignored words"), newKey("more")]
  const asKept = (key: string, user: string) => key.replace(/ (ignored words|more)$/, ` ${user}`)
  await send("ec2-user", first)
  nowMs += 30_000
  await send("root", second)
  assert.deepEqual(await keys(), [
    [path("ec2-user"), asKept(first, "ec2-user"), 1_060_000],
    [path("root"), asKept(second, "root"), 1_090_000],
  ])
  nowMs += 30_000
  await send("root", second)
  assert.deepEqual(await keys(), [[path("root"), asKept(second, "root"), 1_120_000]])
  await assert.rejects(send("root", second, "210987654321"), /was not found/)
  for (let sent = 1; sent < 20; sent++) await send("root", newKey("more"))
  await assert.rejects(send("root", newKey("more")), /has 20 keys that did not expire yet/)
  nowMs += 60_000
  await send("root", newKey("more"))
})
