/**
 * SIGKILL of any of our processes while guests are launched, stopped, started, rebooted and terminated. After each round the machine
 * and the API must agree. FRACTUS_VM_ROUNDS and FRACTUS_VM_GUESTS set how much, FRACTUS_VM_SEED repeats a run's choices. Fifty rounds
 * with five guests are the long run, six are what a usual one has time for.
 */
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import {
  type Instance,
  RebootInstancesCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import { countFrom, seeded, seedFrom, type Random } from "../faults/random.ts"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"
import { leftOf, wrongIn } from "./orphans.ts"

const rounds = countFrom("FRACTUS_VM_ROUNDS", 6)
const seed = seedFrom("FRACTUS_VM_SEED", 12)
const guests = countFrom("FRACTUS_VM_GUESTS", 5)
const longestWorkMs = 2_500

type Wish = "launch" | "stop" | "start" | "reboot" | "terminate"
interface Deed {
  readonly wish: Wish
  /** Of a launch: its root volume. */
  readonly encrypted?: boolean
  /** Undefined when a launch was cut off. */
  id?: string
  answered: boolean
}

test(`${rounds} rounds of kills leave the machine as the API says (seed ${seed})`, async (t) => {
  const random = seeded(seed)
  const cloud = await startCloud(t, 5402)
  try {
    const killed: string[] = []
    for (let number = 0; number < rounds; number++) {
      const { kind, words } = await round(cloud, random, number)
      t.diagnostic(words)
      killed.push(kind)
    }
    const left = (await cloud.instances())
      .filter(({ State }) => State?.Name !== "terminated")
      .map(({ InstanceId }) => InstanceId ?? "")
    if (left.length > 0) await cloud.client.send(new TerminateInstancesCommand({ InstanceIds: left }))
    await cloud.settled()
    assert.deepEqual(await wrongIn(cloud), [], "after all were terminated")
    t.diagnostic(`killed: ${killed.join(", ")}`)
  } catch (error) {
    for (const words of await witnesses(cloud)) t.diagnostic(words)
    throw error
  }
  await cloud.down()
  assert.deepEqual(leftOf(cloud), [], "after down")
})

/** One kill in the middle of work; throws when the machine, the API and what was answered differ after it. */
async function round(cloud: Cloud, random: Random, number: number): Promise<{ kind: string; words: string }> {
  const before = (await cloud.instances()).filter(({ State }) => State?.Name !== "terminated")
  const plan = planOf(random, before)
  const untouched = before.filter(
    ({ InstanceId: id, State }) => !plan.some((deed) => deed.id === id) && State?.Name === "running",
  )
  const boots = new Map<string, string>()
  for (const instance of untouched) boots.set(instance.InstanceId ?? "", await bootOf(cloud, instance))
  const pids = await cloud.processes()
  const work = plan.map(async (deed, index) => {
    await delay(random.below(longestWorkMs / 2))
    await carryOut(cloud, deed, `${seed}-${number}-${index}`)
  })
  await delay(random.below(longestWorkMs))
  const victim = kill(cloud, random, pids)
  await Promise.all(work)
  await recover(cloud, victim)

  const deeds = plan.map(({ wish, id, answered }) => `${wish} ${id} ${answered ? "answered" : "cut off"}`)
  const words = `round ${number} of seed ${seed}: ${victim.name} was killed; ${deeds.join(", ")}`
  const after = await cloud.instances()
  const lost = plan.flatMap((deed) => broken(deed, after, victim.guest))
  assert.deepEqual(lost, [], words)
  assert.deepEqual(await wrongIn(cloud), [], words)
  for (const instance of untouched) {
    const id = instance.InstanceId ?? ""
    const boot = await bootOf(cloud, instance)
    if (id === victim.guest) assert.notEqual(boot, boots.get(id), `${words}: its QEMU was gone, it is recovered`)
    else assert.equal(boot, boots.get(id), `${words}: ${id} was started anew`)
  }
  return { kind: victim.kind, words }
}

/** What a failure is found out from: the end of the host's log, the state of each instance, and its console. */
async function witnesses(cloud: Cloud): Promise<readonly string[]> {
  const end = (path: string) => {
    try {
      return readFileSync(path, "utf8").slice(-1_500)
    } catch (error) {
      return String(error)
    }
  }
  const instances = await cloud.instances().catch(() => [])
  return [
    `host's log: ${end(join(cloud.home, "daemon.log"))}`,
    ...instances.map(({ InstanceId: id = "", State }) => {
      return `${id} is ${State?.Name}; console: ${end(join(cloud.run, "guests", id, "console.log"))}`
    }),
  ]
}

const stateOf = (instances: readonly Instance[], id: string) =>
  instances.find(({ InstanceId }) => InstanceId === id)?.State?.Name

/** What is done in a round: launches until there are enough, and something with two of those that are there. */
function planOf(random: Random, present: readonly Instance[]): Deed[] {
  const launches = Array.from({ length: guests - present.length }, (_, index): Deed => {
    return { wish: "launch", encrypted: index % 2 === 0, answered: false }
  })
  const rest = [...present]
  const others = Array.from({ length: Math.min(2, rest.length) }, (): Deed => {
    const [instance] = rest.splice(random.below(rest.length), 1)
    const wishes: readonly Wish[] =
      instance?.State?.Name === "stopped" ? ["start", "start", "terminate"] : ["stop", "reboot", "terminate"]
    return { wish: random.pick(wishes), id: instance?.InstanceId ?? "", answered: false }
  })
  return [...launches, ...others]
}

/** Sends the call once; what breaks off is sent no more, so either outcome is right for it. */
async function carryOut({ client, imageId }: Cloud, deed: Deed, token: string): Promise<void> {
  const InstanceIds = [deed.id ?? ""]
  try {
    switch (deed.wish) {
      case "launch": {
        const launch = { ImageId: imageId, InstanceType: "t3.nano", KeyName: "test", MinCount: 1, MaxCount: 1 } as const
        const BlockDeviceMappings = [{ DeviceName: "/dev/xvda", Ebs: { Encrypted: deed.encrypted === true } }]
        const made = await client.send(new RunInstancesCommand({ ...launch, BlockDeviceMappings, ClientToken: token }))
        deed.id = made.Instances?.[0]?.InstanceId ?? ""
        break
      }
      case "start":
        await client.send(new StartInstancesCommand({ InstanceIds }))
        break
      case "stop":
        await client.send(new StopInstancesCommand({ InstanceIds }))
        break
      case "reboot":
        await client.send(new RebootInstancesCommand({ InstanceIds }))
        break
      case "terminate":
        await client.send(new TerminateInstancesCommand({ InstanceIds }))
    }
    deed.answered = true
  } catch (error) {
    if (!isCut(error)) throw error
  }
}

const isCut = (error: unknown) =>
  error instanceof Error &&
  (["TimeoutError", "AbortError"].includes(error.name) ||
    /ECONNRESET|ECONNREFUSED|EPIPE|socket hang up/.test(
      `${"code" in error ? String(error.code) : ""} ${error.message}`,
    ) ||
    // A guest whose QEMU was killed a moment ago is no longer what the plan took it for.
    error.name === "IncorrectInstanceState")

interface Victim {
  readonly kind: string
  readonly name: string
  readonly pid: number
  /** The instance, when it was a QEMU. */
  readonly guest?: string
}

/** One of: the host, the API, the metadata service, a DHCP server, a QEMU. */
function kill(cloud: Cloud, random: Random, pids: ReadonlyMap<string, number>): Victim {
  const kind = random.pick(["fractus-host", "fractus-api", "guest-services", "dnsmasq", "qemu"])
  const candidates = kind === "dnsmasq" ? dhcpServers(cloud) : [...pids].filter(([name]) => name.split(" ")[0] === kind)
  const [name, pid] =
    candidates.length === 0 ? ["fractus-host", pids.get("fractus-host") ?? 0] : random.pick(candidates)
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // Its guest was stopped meanwhile.
  }
  return { kind: name.split(" ")[0] ?? "", name, pid, ...(name.startsWith("qemu ") ? { guest: name.slice(5) } : {}) }
}

function dhcpServers({ run }: Cloud): readonly (readonly [string, number])[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8")
      return command.startsWith("dnsmasq\0") && command.includes(`${run}/`) ? [["dnsmasq", Number(name)] as const] : []
    } catch {
      return []
    }
  })
}

/** `up` when the daemon is gone; else its own supervision has a minute to bring back what was killed. */
async function recover(cloud: Cloud, { kind, name, pid, guest }: Victim): Promise<void> {
  if (kind === "fractus-host") await cloud.up()
  await until(`${kind} is back`, 120_000, async () => {
    const now = await cloud.processes().catch(() => undefined)
    const back = ["fractus-host", "fractus-api", "guest-services"].every(
      (name) => now?.has(name) && now.get(name) !== pid,
    )
    // First the host notices, then the API: only what is settled after that is of interest.
    const state = guest === undefined ? "" : stateOf(await cloud.instances().catch(() => []), guest)
    const noticed = state !== "running" || (now?.has(name) === true && now.get(name) !== pid)
    if (guest !== undefined && !noticed) return undefined
    const dhcp = kind !== "dnsmasq" || dhcpServers(cloud).some(([, each]) => each !== pid)
    return now !== undefined && back && dhcp ? now : undefined
  })
  await cloud.settled()
}

/** An answered call holds: nothing of it is lost, unless its guest's own process was the one that was killed. */
function broken(
  { wish, id, answered }: Deed,
  after: readonly Instance[],
  victim: string | undefined,
): readonly string[] {
  if (!answered || id === undefined) return []
  const state = stateOf(after, id)
  const allowed: readonly (string | undefined)[] = {
    launch: ["running"],
    start: ["running"],
    reboot: ["running"],
    stop: ["stopped"],
    terminate: ["terminated", undefined],
  }[wish]
  return allowed.includes(state) || (id === victim && state === "stopped")
    ? []
    : [`${wish} of ${id} was answered; it is ${state}`]
}

async function bootOf(cloud: Cloud, { InstanceId, PublicIpAddress: address = "" }: Instance): Promise<string> {
  // A guest that boots while metadata is away has its key later than its SSH server.
  return until(`${InstanceId} lets its key in`, 180_000, async () => {
    if ((await banner(address)) === undefined) return undefined
    return inGuest(cloud, address, "cat /proc/sys/kernel/random/boot_id").catch(() => undefined)
  })
}
