/** The proof that clones share nothing: many of one template, compared in all that a machine draws or is told. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { createInterface } from "node:readline"
import { endAll, prepareTraced, templateUid, type Lab, type WarmEngine, warmLab } from "../lab.ts"
import { drawingPrograms } from "./drawn.ts"

/** What one clone shows: by name what must be another's in no case, and its TCP sequence numbers. */
export interface Shown {
  readonly id: string
  readonly facts: Readonly<Record<string, string>>
  readonly numbers: readonly SequenceNumber[]
  /** The clone's clock less this host's lies between these. */
  readonly clock: ClockError
}
export interface ClockError {
  readonly leastMs: number
  readonly mostMs: number
}
interface SequenceNumber {
  readonly number: number
  readonly heardNs: bigint
}

/** An address that every clone has on its own loopback interface, so that all are asked over the same four-tuple. */
const common = "198.51.100.7"
const ours = "192.0.2.1"
const userData = `#!/bin/sh
head -c 16 /dev/urandom | hexdump -v -e '1/1 "%02x"' >/run/drawn
ip addr add ${common}/32 dev lo
touch /run/done
`
const tellAll = `while [ ! -e /run/done ]; do usleep 20000; done; cat /run/first
echo userData $(cat /run/drawn)
echo bootId $(cat /proc/sys/kernel/random/boot_id)
echo machineId $(cat /etc/machine-id)
echo hostKey $(sudo dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^ssh-)
echo hostName $(hostname)
echo mac $(cat /sys/class/net/eth0/address)
echo address $(ip -o -4 addr show eth0)
echo linkAddress $(ip -o -6 addr show eth0)
echo uuid $(sudo cat /sys/class/dmi/id/product_uuid)`

/** `count` clones, at most two at a time, each ended once it has shown all. `without`: a step that their agent leaves out. */
export async function showClones(count: number, without?: string): Promise<readonly Shown[]> {
  const programs = await drawingPrograms(without)
  const lab = await warmLab("hvs", (disk) => programs.install(disk)).finally(() => programs.clean())
  try {
    const engine = await lab.open()
    try {
      await engine.templates.make(lab.spec(1, "i-first"), templateUid)
      const shown: Shown[] = []
      let next = 1
      let probing: Promise<unknown> = Promise.resolve()
      // The way to the common address leads to one of them at a time.
      const alone = <Result>(work: () => Promise<Result>) => {
        const turn = probing.then(work)
        probing = turn.catch(() => {})
        return turn
      }
      const worker = async () => {
        while (next <= count) shown.push(await show(engine, lab, next++, alone))
      }
      await Promise.all([worker(), worker()])
      return shown
    } finally {
      await endAll(engine)
      await engine.close()
    }
  } finally {
    lab.cleanUp()
  }
}

async function show(
  engine: WarmEngine,
  lab: Lab,
  number: number,
  alone: <Result>(work: () => Promise<Result>) => Promise<Result>,
): Promise<Shown> {
  const spec = lab.spec(number, `i-${number}`, userData)
  const way = await prepareTraced(engine, spec)
  if (!way.startsWith("clones template")) throw new Error(`${spec.id} ${way}`)
  await engine.resume(spec.id)
  const { address } = spec.identity
  // Before any other connection: what the server draws for its first one.
  const exchange = await lab.inside(process.execPath, path.join(import.meta.dirname, "exchange.ts"), address)
  const facts = new Map(Object.entries(JSON.parse(exchange) as Record<string, string>))
  for (const line of (await lab.ssh(number, tellAll)).trim().split("\n")) {
    const at = line.indexOf(" ")
    facts.set(line.slice(0, at), line.slice(at + 1))
  }
  const clock = await clockError(lab, number)
  const numbers = await alone(async () => {
    const device = `tap${number}`
    execFileSync("ip", ["-n", lab.prefix, "route", "replace", `${common}/32`, "dev", device])
    const script = path.join(import.meta.dirname, "sequence-numbers.py")
    const lines = (await lab.inside("python3", script, device, ours, common)).trim().split("\n")
    return lines.map((line) => {
      const [, first = "", heard = ""] = line.split(" ")
      return { number: Number(first), heardNs: BigInt(heard) }
    })
  })
  await engine.kill(spec.id)
  await engine.remove(spec.id)
  return { id: spec.id, facts: Object.fromEntries(facts), numbers, clock }
}

const wallMs = () => performance.timeOrigin + performance.now()

/** Asked thirty times over one connection: what it says was so at some moment between question and answer. */
export async function clockError(lab: Lab, number: number): Promise<ClockError> {
  const [program, ...words] = lab.sshWords(number, "bash -c 'while read -r _; do echo $EPOCHREALTIME; done'")
  const child = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"], timeout: 60_000 })
  const ended = once(child, "close")
  let [leastMs, mostMs] = [-Infinity, Infinity]
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  for (let round = 0; round < 30; round++) {
    const askedMs = wallMs()
    child.stdin.write("\n")
    const { value, done } = await answers.next()
    if (done === true) throw new Error(`clone ${number} does not tell the time`)
    const saysMs = Number(value) * 1000
    leastMs = Math.max(leastMs, saysMs - wallMs())
    mostMs = Math.min(mostMs, saysMs - askedMs)
  }
  child.stdin.end()
  await ended
  return { leastMs, mostMs }
}

/** What is equal in two or more of them: name -> ids. */
export function equals(shown: readonly Shown[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>()
  const note = (name: string, one: Shown, two: Shown) => {
    const ids = found.get(name) ?? new Set()
    found.set(name, ids.add(one.id).add(two.id))
  }
  for (const [at, one] of shown.entries())
    for (const two of shown.slice(at + 1)) {
      for (const [name, value] of Object.entries(one.facts)) if (two.facts[name] === value) note(name, one, two)
      if (sameSecret(one.numbers, two.numbers)) note("sequence numbers", one, two)
    }
  return new Map([...found].map(([name, ids]) => [name, [...ids]]))
}

/** How far off the expected time an answer may come. Four ports give three distances: by chance all three are right once in 10^8. */
const slackNs = 200_000_000n

/**
 * Whether two machines reckon their first sequence numbers with one secret (RFC 6528; Linux: secure_tcp_seq): a number that follows from
 * the addresses and ports, plus the time by 64 ns. The distances between ports then are alike, but for the time between the answers.
 */
function sameSecret(one: readonly SequenceNumber[], two: readonly SequenceNumber[]): boolean {
  const distances = (numbers: readonly SequenceNumber[]) =>
    numbers.slice(1).map(({ number, heardNs }) => {
      const [first] = numbers
      return BigInt(number) - BigInt(first!.number) - (heardNs - first!.heardNs) / 64n
    })
  const others = distances(two)
  return distances(one).every((distance, at) => {
    const off = BigInt.asIntN(32, distance - others[at]!)
    return (off < 0n ? -off : off) < slackNs / 64n
  })
}
