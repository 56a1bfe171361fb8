/**
 * Status checks: does a guest answer ARP, can its volumes' disk be written. Asked for all guests of a network at once, so that a round
 * costs a few commands a network, however many guests there are. A simulated guest answers as soon as it is on.
 *
 * The instance check passes when ARP is answered, as EC2's does, whatever the guest's agent says: not every guest has one, and a user may
 * stop it. The agent is asked when ARP is silent, and tells apart why: an operating system that runs behind a broken network, or none.
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { GuestAgent, HypervisorEngine } from "#engine/hypervisor/types.ts"
import type { GuestChecks } from "../protocol/types.ts"
import type { HostOptions, Log, Timer } from "../types.ts"
import { within } from "./deadline.ts"
import { troubleOf } from "./steps.ts"

export interface CheckTimes {
  /** Pause between two rounds, in which those are asked whose turn it is. */
  readonly roundMs: number
  /** A guest that answered is asked again after this. */
  readonly everyMs: number
  /** One that failed. All others are asked in each round. */
  readonly failedMs: number
  /** It fails when it was silent for so long, asked three times at least. */
  readonly silentMs: number
  /** One that never answered since its start has this long, for its boot. */
  readonly bootMs: number
  /** One that never did, but whose agent answers, has this long from then on to bring up its network. */
  readonly networkMs: number
}
export const checkTimes: CheckTimes = {
  roundMs: 3_000,
  everyMs: 30_000,
  failedMs: 10_000,
  silentMs: 60_000,
  bootMs: 300_000,
  networkMs: 120_000,
}

const leastMisses = 3
/** Networks that are asked side by side. */
const networksAtOnce = 8
/** Agents of the silent guests of a network that are asked side by side, and for how long in a round: a silent one takes five seconds. */
const agentsAtOnce = 32
const agentsMs = 10_000

/** A guest that is on and in no known trouble. */
export interface CheckedGuest {
  readonly id: string
  /** Another start, reset or process is another run: what was known of the guest counts no more. */
  readonly run: string
  readonly network: string
  /** Its first interface. */
  readonly port: string
}

interface Known {
  readonly run: string
  readonly foundMs: number
  askedMs: number
  answeredMs: number | undefined
  /** When the agent first answered; asked while ARP is silent. */
  agentMs: number | undefined
  agent: GuestAgent
  misses: number
  verdict: "passed" | "failed" | undefined
}

export interface ChecksOptions extends Pick<HostOptions, "network" | "clock" | "stateDirectory"> {
  readonly hypervisor: Pick<HypervisorEngine, "guestAgent">
  readonly guests: () => readonly CheckedGuest[]
  /** What `of` gives for this guest is another now. */
  readonly changed: (guest: string) => void
  readonly timer: Timer
  readonly log: Log
  readonly times: CheckTimes
}

export type Checks = ReturnType<typeof startChecks>

/** What is told of a guest: its agent says why a check failed, and nothing otherwise. */
const wordsOf = ({ verdict, agent }: Known) => (verdict === "failed" ? `failed ${agent}` : verdict)

/** Goes on until `close`. All times are real ones. */
export function startChecks(options: ChecksOptions) {
  const { network, hypervisor, clock, timer, times, guests, changed, log } = options
  const known = new Map<string, Known>()
  const real = network.name !== "sim"
  let disk: "passed" | "failed" = "passed"
  let wroteMs = -Infinity
  let closed = false
  let cancel = () => {}

  const dueAfterMs = ({ verdict, misses }: Known) => {
    if (verdict === "failed") return times.failedMs
    return verdict === "passed" && misses === 0 ? times.everyMs : 0
  }

  /** A guest that is silent for longer than it may be. */
  function isOverdue({ answeredMs, foundMs, agentMs, misses }: Known, nowMs: number): boolean {
    if (misses < leastMisses) return false
    if (answeredMs !== undefined) return nowMs - answeredMs >= times.silentMs
    return nowMs - foundMs >= times.bootMs || (agentMs !== undefined && nowMs - agentMs >= times.networkMs)
  }

  function judge(guest: string, each: Known, answers: boolean, agent: GuestAgent | undefined): void {
    const nowMs = clock.monotonicMs()
    const before = wordsOf(each)
    each.misses = answers ? 0 : each.misses + 1
    each.agent = answers ? "none" : (agent ?? each.agent)
    if (agent === "answers") each.agentMs ??= nowMs
    if (answers) {
      each.answeredMs = nowMs
      each.verdict = "passed"
    } else if (isOverdue(each, nowMs)) each.verdict = "failed"
    if (wordsOf(each) !== before) changed(guest)
  }

  async function ask(id: string, asked: readonly CheckedGuest[]): Promise<void> {
    const answering = await network.answering(
      id,
      asked.map(({ port }) => port),
    )
    const agents = await askAgents(asked.filter(({ port }) => !answering.has(port)))
    for (const guest of asked) {
      const each = known.get(guest.id)
      if (each?.run === guest.run) judge(guest.id, each, answering.has(guest.port), agents.get(guest.id))
    }
  }

  /** Of those that time was enough for. */
  async function askAgents(silent: readonly CheckedGuest[]): Promise<ReadonlyMap<string, GuestAgent>> {
    const agents = new Map<string, GuestAgent>()
    const endMs = clock.monotonicMs() + agentsMs
    for (let at = 0; at < silent.length && clock.monotonicMs() < endMs; at += agentsAtOnce) {
      const some = silent.slice(at, at + agentsAtOnce)
      await Promise.all(
        some.map(async ({ id }) => agents.set(id, await hypervisor.guestAgent(id).catch(() => "none" as const))),
      )
    }
    return agents
  }

  /** Fails at the second refusal in a row, which the next round brings. */
  let refused = false
  async function lookAtDisk(): Promise<void> {
    if (!refused && clock.monotonicMs() - wroteMs < times.everyMs) return
    wroteMs = clock.monotonicMs()
    const written = writeFile(join(options.stateDirectory, "writable"), `${clock.wallMs()}\n`, { mode: 0o600 })
    const fault = await within("the disk", times.everyMs, timer, written).then(
      () => undefined,
      (error: unknown) => troubleOf(error).message,
    )
    const verdict = fault === undefined ? "passed" : refused ? "failed" : disk
    refused = fault !== undefined
    if (verdict === disk) return
    disk = verdict
    log("host: status checks", { disk, ...(fault === undefined ? {} : { fault }) })
    for (const { id } of guests()) changed(id)
  }

  async function round(): Promise<void> {
    const nowMs = clock.monotonicMs()
    const present = guests()
    const ids = new Set(present.map(({ id }) => id))
    for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
    const due = present.filter((guest) => {
      let each = known.get(guest.id)
      if (each?.run !== guest.run) {
        each = {
          run: guest.run,
          foundMs: nowMs,
          askedMs: -Infinity,
          answeredMs: undefined,
          agentMs: undefined,
          agent: "none",
          misses: 0,
          verdict: undefined,
        }
        known.set(guest.id, each)
      }
      if (nowMs - each.askedMs < dueAfterMs(each)) return false
      each.askedMs = nowMs
      return true
    })
    const byNetwork = [...Map.groupBy(due, (guest) => guest.network)]
    for (let at = 0; at < byNetwork.length; at += networksAtOnce) {
      const some = byNetwork.slice(at, at + networksAtOnce)
      const done = await Promise.allSettled(some.map(([id, asked]) => ask(id, asked)))
      // Who could not be asked did not fail to answer.
      for (const each of done)
        if (each.status === "rejected") log("host: status checks were not asked", { ...troubleOf(each.reason) })
    }
    if (present.length > 0) await lookAtDisk()
  }

  function next(): void {
    cancel = timer(times.roundMs, () => {
      void round()
        .catch((error: unknown) => log("host: status checks", { ...troubleOf(error) }))
        .then(() => closed || next())
    })
  }
  if (real) next()

  return {
    /** What is known of a guest's run. Of one that never answered since this process found it, nothing. */
    of(guest: string, run: string): GuestChecks {
      if (!real) return { instance: "passed", system: "passed" }
      const each = known.get(guest)
      const verdict = each?.run === run ? each.verdict : undefined
      const agent = verdict === "failed" && each !== undefined ? { agent: each.agent } : {}
      return { ...(verdict === undefined ? {} : { instance: verdict }), ...agent, system: disk }
    },
    close(): void {
      closed = true
      cancel()
    },
  }
}
