/** Many at once on the same things: one order is found, and nobody is sent away for it. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { microImage } from "#images/catalog.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { type Answer, createClient } from "./client.ts"
import { seeded, seedFrom } from "./random.ts"
import { brokenIn } from "./whole.ts"
import { at, findAll, textAt } from "./xml.ts"

const launch = { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 }
const seed = seedFrom("FRACTUS_FAULT_SEED", 1_778_689_040)

async function scene(t: TestContext) {
  const daemon = await startSimDaemon({ auth: "off", simSpeed: 200 })
  t.after(() => daemon.stop())
  const client = createClient(daemon.endpoint, { connections: 100 })
  t.after(() => client.close())
  return { daemon, client }
}

const times = <T>(count: number, work: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))

function counted(answers: readonly Answer[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { code } of answers) counts[code || "ok"] = (counts[code || "ok"] ?? 0) + 1
  return counts
}

test("50 launches at once get 50 instances with addresses of their own", async (t) => {
  const { daemon, client } = await scene(t)
  const answers = await times(50, () => client.call("RunInstances", launch))
  assert.deepEqual(counted(answers), { ok: 50 })
  await daemon.settled()
  const items = at(await client.ok("DescribeInstances"), "reservationSet", "item", "instancesSet", "item")
  const distinct = (...path: readonly string[]) => new Set(items.map((item) => textAt(item, ...path))).size
  assert.deepEqual([distinct("instanceId"), distinct("privateIpAddress"), distinct("ipAddress")], [50, 50, 50])
  assert.deepEqual(new Set(items.map((item) => textAt(item, "instanceState", "name"))), new Set(["running"]))
  const subnets = at(await client.ok("DescribeSubnets"), "subnetSet", "item")
  const taken = subnets.map((item) => 4091 - Number(textAt(item, "availableIpAddressCount")))
  assert.equal(
    taken.reduce((sum, count) => sum + count, 0),
    50,
  )
  assert.deepEqual(brokenIn(daemon.home), [])
})

test("of 50 groups of one name one is made, and of 50 launches with one token one", async (t) => {
  const { daemon, client } = await scene(t)
  const group = { GroupName: "one", GroupDescription: "x" }
  const groups = await times(50, () => client.call("CreateSecurityGroup", group))
  assert.deepEqual(counted(groups), { ok: 1, "InvalidGroup.Duplicate": 49 })
  const launches = await times(50, () => client.call("RunInstances", { ...launch, ClientToken: "one" }))
  assert.deepEqual(counted(launches), { ok: 50 })
  assert.equal(new Set(launches.flatMap(({ xml }) => findAll(xml, "instanceId").map(({ text }) => text))).size, 1)
  const keys = await times(20, () => client.call("CreateKeyPair", { KeyName: "one", KeyType: "ed25519" }))
  assert.deepEqual(counted(keys), { ok: 1, "InvalidKeyPair.Duplicate": 19 })
  assert.deepEqual(brokenIn(daemon.home), [])
})

test("100 calls for tags of one instance and 40 for rules of one group all count", async (t) => {
  const { daemon, client } = await scene(t)
  const [instance] = findAll(await client.ok("RunInstances", launch), "instanceId")
  const [group] = findAll(await client.ok("CreateSecurityGroup", { GroupName: "g", GroupDescription: "x" }), "groupId")
  assert.ok(instance !== undefined && group !== undefined)
  const tag = (index: number) => ({ "ResourceId.1": instance.text, "Tag.1.Key": `k${index % 40}`, "Tag.1.Value": "v" })
  assert.deepEqual(counted(await times(100, (index) => client.call("CreateTags", tag(index)))), { ok: 100 })
  const rule = (port: number) => ({
    GroupId: group.text,
    IpProtocol: "tcp",
    FromPort: port,
    ToPort: port,
    CidrIp: "192.0.2.0/24",
  })
  const rules = await times(40, (index) => client.call("AuthorizeSecurityGroupIngress", rule(1000 + index)))
  assert.deepEqual(counted(rules), { ok: 40 })
  const tags = await client.ok("DescribeTags", { "Filter.1.Name": "resource-id", "Filter.1.Value.1": instance.text })
  assert.equal(at(tags, "tagSet", "item").length, 40)
  const filter = { "Filter.1.Name": "group-id", "Filter.1.Value.1": group.text }
  const found = at(await client.ok("DescribeSecurityGroupRules", filter), "securityGroupRuleSet", "item", "fromPort")
  assert.equal(new Set(found.map(({ text }) => text).filter((port) => port !== "-1")).size, 40)
  assert.deepEqual(brokenIn(daemon.home), [])
})

test(`starts, stops and ends of 20 instances in any order leave each in one state (seed ${seed})`, async (t) => {
  const { daemon, client } = await scene(t)
  const random = seeded(seed)
  const launched = findAll(await client.ok("RunInstances", { ...launch, MinCount: 20, MaxCount: 20 }), "instanceId")
  const ids = launched.map(({ text }) => text)
  await daemon.settled()
  const ended = new Set<string>()
  const answers = await times(400, async () => {
    const action = random.once(20)
      ? "TerminateInstances"
      : random.pick(["StartInstances", "StopInstances", "RebootInstances"])
    const id = random.pick(ids)
    const answer = await client.call(action, { "InstanceId.1": id })
    if (action === "TerminateInstances" && answer.code === "") ended.add(id)
    return answer
  })
  const codes = new Set(answers.map(({ code }) => code))
  assert.deepEqual(
    codes.difference(new Set(["", "IncorrectInstanceState"])),
    new Set(),
    JSON.stringify(counted(answers)),
  )
  await daemon.settled()
  assert.deepEqual(brokenIn(daemon.home), [])
  const items = at(await client.ok("DescribeInstances"), "reservationSet", "item", "instancesSet", "item")
  const states = new Map(items.map((item) => [textAt(item, "instanceId"), textAt(item, "instanceState", "name") ?? ""]))
  for (const id of ids) {
    const allowed = ended.has(id) ? ["terminated"] : ["running", "stopped"]
    assert.ok(allowed.includes(states.get(id) ?? "terminated"), `${id} is ${states.get(id)}`)
  }
})
