/**
 * A user who works alone on resources of its own and remembers what was answered, so that after a crash it can say what must be there. A call
 * without an answer may have happened or not, wholly.
 */
import type { Client } from "./client.ts"
import type { Random } from "./random.ts"
import { at, type Element, findAll, textAt } from "./xml.ts"

type State = "running" | "stopped" | "terminated"

/** What may be true of one resource: more than one possibility only while a call's answer is missing. */
interface Instance {
  states: readonly State[]
  readonly tags: Map<string, readonly (string | undefined)[]>
}
interface Group {
  exists: readonly boolean[]
  readonly name: string
  /** Port -> whether its rule may be there. */
  readonly ports: Map<number, readonly boolean[]>
}

export interface Worker {
  /** Calls one after the other until the connection breaks or `halt` says so. */
  work(client: Client, halt: () => boolean): Promise<void>
  /** Compares the cloud with what was answered, and takes the cloud's word for what was not. Gives what is wrong. */
  check(client: Client): Promise<readonly string[]>
  /** Ends everything that is left. */
  clear(client: Client): Promise<void>
  readonly answered: () => number
}

/** Codes that say "nothing was done"; any other error is a finding. */
const refusals = new Set(["IncorrectInstanceState"])

export function createWorker(name: string, random: Random, image: string): Worker {
  const instances = new Map<string, Instance>()
  const groups = new Map<string, Group>()
  const keys = new Map<string, readonly boolean[]>()
  const launches = new Map<string, number>()
  const lost = { groups: new Set<string>() }
  let serial = 0
  let answered = 0

  /** Marks what may come of a call, makes it, and settles what came of it. */
  const attempt = async (client: Client, call: [string, Record<string, string | number>], change: Change) => {
    change.mayBe()
    const answer = await client.call(...call)
    if (answer.code !== "" && !refusals.has(answer.code))
      throw new Error(`${name} ${JSON.stringify(call)}: ${answer.code}: ${answer.message}`)
    answered++
    if (answer.code === "") change.is(answer.xml)
    else change.isNot()
  }
  const setTo = <T extends object, K extends keyof T>(
    target: T,
    key: K,
    before: T[K],
    after: readonly unknown[],
    done: T[K],
  ) => ({
    mayBe: () => void (target[key] = [...(before as readonly unknown[]), ...after] as T[K]),
    is: () => void (target[key] = done),
    isNot: () => void (target[key] = before),
  })

  const run = (client: Client) => {
    const token = `${name}-${serial++}`
    const count = 1 + random.below(2)
    return attempt(client, runCall(token, count, image), {
      mayBe: () => launches.set(token, count),
      is(xml) {
        launches.delete(token)
        for (const id of idsOf(xml)) instances.set(id, { states: ["running"], tags: new Map([["launch", [token]]]) })
      },
      isNot: () => launches.delete(token),
    })
  }
  const power = (client: Client, id: string, it: Instance) => {
    const [state] = it.states
    const to: State = random.once(4) ? "terminated" : state === "running" ? "stopped" : "running"
    const action = { terminated: "TerminateInstances", stopped: "StopInstances", running: "StartInstances" }[to]
    return attempt(client, [action, { "InstanceId.1": id }], setTo(it, "states", it.states, [to], [to]))
  }
  const tag = (client: Client, id: string, it: Instance) => {
    const key = `k${random.below(3)}`
    const value = `v${serial++}`
    const before = it.tags.get(key) ?? [undefined]
    return attempt(client, ["CreateTags", { "ResourceId.1": id, "Tag.1.Key": key, "Tag.1.Value": value }], {
      mayBe: () => it.tags.set(key, [...before, value]),
      is: () => it.tags.set(key, [value]),
      isNot: () => it.tags.set(key, before),
    })
  }
  const createGroup = (client: Client) => {
    const groupName = `${name}-g${serial++}`
    return attempt(client, ["CreateSecurityGroup", { GroupName: groupName, GroupDescription: "of a worker" }], {
      mayBe: () => lost.groups.add(groupName),
      is(xml) {
        lost.groups.delete(groupName)
        groups.set(textAt(xml, "groupId") ?? "", { exists: [true], name: groupName, ports: new Map() })
      },
      isNot: () => lost.groups.delete(groupName),
    })
  }
  const changeGroup = (client: Client, id: string, it: Group) => {
    if (random.once(4))
      return attempt(client, ["DeleteSecurityGroup", { GroupId: id }], setTo(it, "exists", it.exists, [false], [false]))
    const port = 1000 + random.below(4)
    const before = it.ports.get(port) ?? [false]
    const after = before[0] !== true
    const action = after ? "AuthorizeSecurityGroupIngress" : "RevokeSecurityGroupIngress"
    const rule = { GroupId: id, IpProtocol: "tcp", FromPort: port, ToPort: port, CidrIp: "192.0.2.0/24" }
    return attempt(client, [action, rule], {
      mayBe: () => it.ports.set(port, [...before, after]),
      is: () => it.ports.set(port, [after]),
      isNot: () => it.ports.set(port, before),
    })
  }
  const changeKey = (client: Client) => {
    const keyName = `${name}-k${random.below(3)}`
    const before = keys.get(keyName) ?? [false]
    const after = before[0] !== true
    const call: [string, Record<string, string>] = [
      after ? "CreateKeyPair" : "DeleteKeyPair",
      { KeyName: keyName, ...(after ? { KeyType: "ed25519" } : {}) },
    ]
    return attempt(client, call, {
      mayBe: () => keys.set(keyName, [...before, after]),
      is: () => keys.set(keyName, [after]),
      isNot: () => keys.set(keyName, before),
    })
  }
  const step = (client: Client): Promise<void> => {
    const alive = [...instances].filter(([, it]) => it.states[0] !== "terminated")
    const there = [...groups].filter(([, it]) => it.exists[0] === true)
    const choice = random.below(10)
    if (choice < 4 && alive.length > 0) return power(client, ...random.pick(alive))
    if (choice === 4 && alive.length > 0) return tag(client, ...random.pick(alive))
    if (choice < 7) return there.length < 3 ? createGroup(client) : changeGroup(client, ...random.pick(there))
    if (choice === 7 && there.length > 0) return changeGroup(client, ...random.pick(there))
    if (choice === 8 || alive.length > 4) return changeKey(client)
    return run(client)
  }

  return {
    answered: () => answered,
    async work(client, halt) {
      while (!halt()) await step(client)
    },
    async check(client) {
      const wrong: string[] = []
      await checkLaunches(client, launches, image, instances, wrong)
      await checkInstances(client, name, instances, wrong)
      await checkGroups(client, name, groups, lost.groups, wrong)
      await checkKeys(client, name, keys, wrong)
      return wrong
    },
    async clear(client) {
      for (const [id, it] of instances) {
        await client.ok("TerminateInstances", { "InstanceId.1": id })
        it.states = ["terminated"]
      }
    },
  }
}

interface Change {
  mayBe(): void
  is(xml: Element): void
  isNot(): void
}

function runCall(token: string, count: number, image: string): [string, Record<string, string | number>] {
  const tag = { "TagSpecification.1.Tag.1.Key": "launch", "TagSpecification.1.Tag.1.Value": token }
  const counts = { MinCount: count, MaxCount: count }
  const what = { ImageId: image, InstanceType: "t3.micro", ClientToken: token }
  return ["RunInstances", { ...what, ...counts, "TagSpecification.1.ResourceType": "instance", ...tag }]
}

const idsOf = (xml: Element) => at(xml, "instancesSet", "item", "instanceId").map((id) => id.text)

/** A launch without an answer made all its instances or none; asked again with its token, there are exactly so many. */
async function checkLaunches(
  client: Client,
  launches: Map<string, number>,
  image: string,
  instances: Map<string, Instance>,
  wrong: string[],
) {
  for (const [token, count] of launches) {
    const filter = { "Filter.1.Name": "client-token", "Filter.1.Value.1": token }
    const before = findAll(await client.ok("DescribeInstances", filter), "instanceId")
    const made = new Set(before.map((id) => id.text)).size
    if (made !== 0 && made !== count) wrong.push(`${token} made ${made} of ${count} instances`)
    const ids = idsOf(await client.ok(...runCall(token, count, image)))
    if (ids.length !== count) wrong.push(`${token} asked again gives ${ids.length} of ${count}`)
    if (made > 0 && ids.some((id) => !before.some(({ text }) => text === id))) wrong.push(`${token} launched twice`)
    for (const id of ids) instances.set(id, { states: ["running"], tags: new Map([["launch", [token]]]) })
    launches.delete(token)
  }
}

async function settled(client: Client) {
  const { status, body } = await client.send({ method: "GET", path: "/_fractus/settled?timeout=20" })
  if (status !== 200) throw new Error(`not settled: ${body}`)
}

async function checkInstances(client: Client, name: string, instances: Map<string, Instance>, wrong: string[]) {
  await settled(client)
  const filter = { "Filter.1.Name": "tag:launch", "Filter.1.Value.1": `${name}-*` }
  const xml = await client.ok("DescribeInstances", filter)
  const found = new Map(
    at(xml, "reservationSet", "item", "instancesSet", "item").map((item) => [textAt(item, "instanceId") ?? "", item]),
  )
  for (const [id, it] of instances) {
    const item = found.get(id)
    found.delete(id)
    // Simulated time is fast: an instance that ended may be forgotten by now.
    const state = item === undefined ? "terminated" : (textAt(item, "instanceState", "name") as State)
    if (!it.states.includes(state)) wrong.push(`${id} is ${state}, answered was ${it.states.join(" or ")}`)
    it.states = [state]
    if (state === "terminated" || item === undefined) instances.delete(id)
    else checkTags(id, item, it, wrong)
  }
  for (const [id, item] of found)
    if (textAt(item, "instanceState", "name") !== "terminated") wrong.push(`${id} is nobody's`)
}

function checkTags(id: string, item: Element, it: Instance, wrong: string[]) {
  const tags = new Map(at(item, "tagSet", "item").map((tag) => [textAt(tag, "key"), textAt(tag, "value")]))
  for (const [key, values] of it.tags) {
    const value = tags.get(key)
    if (!values.includes(value)) wrong.push(`${id} has ${key}=${value}, answered was ${values.join(" or ")}`)
    it.tags.set(key, [value])
  }
}

async function checkGroups(
  client: Client,
  name: string,
  groups: Map<string, Group>,
  lost: Set<string>,
  wrong: string[],
) {
  const filter = { "Filter.1.Name": "group-name", "Filter.1.Value.1": `${name}-*` }
  const items = at(await client.ok("DescribeSecurityGroups", filter), "securityGroupInfo", "item")
  const found = new Map(items.map((item) => [textAt(item, "groupId") ?? "", item]))
  for (const [id, it] of groups) {
    const item = found.get(id)
    if (!it.exists.includes(item !== undefined)) wrong.push(`${it.name} exists: ${item !== undefined}`)
    it.exists = [item !== undefined]
    if (item === undefined) {
      groups.delete(id)
      continue
    }
    const open = new Set(at(item, "ipPermissions", "item", "fromPort").map((port) => Number(port.text)))
    for (const [port, may] of it.ports) {
      if (!may.includes(open.has(port))) wrong.push(`${it.name} port ${port}: ${open.has(port)}`)
      it.ports.set(port, [open.has(port)])
    }
    found.delete(id)
  }
  for (const [id, item] of found) {
    const groupName = textAt(item, "groupName") ?? ""
    if (!lost.has(groupName)) wrong.push(`group ${groupName} was refused or deleted and is there`)
    groups.set(id, { exists: [true], name: groupName, ports: new Map() })
  }
  lost.clear()
}

async function checkKeys(client: Client, name: string, keys: Map<string, readonly boolean[]>, wrong: string[]) {
  const filter = { "Filter.1.Name": "key-name", "Filter.1.Value.1": `${name}-*` }
  const found = new Set(findAll(await client.ok("DescribeKeyPairs", filter), "keyName").map((key) => key.text))
  for (const [key, may] of keys) {
    if (!may.includes(found.has(key))) wrong.push(`key ${key} exists: ${found.has(key)}`)
    keys.set(key, [found.has(key)])
  }
}
