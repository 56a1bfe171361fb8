/**
 * Clones that wait: each runs in a network namespace of its own, told nothing yet, and becomes the next machine that fits. A member's
 * directory is in `runDirectory`, apart from the machines', until the moment it is taken: whatever is found there is nobody.
 */
import { execFile } from "node:child_process"
import { randomBytes, randomUUID } from "node:crypto"
import { chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import path from "node:path"
import { promisify } from "node:util"
import { timed } from "#lib/trace.ts"
import {
  type MachineSpec,
  NotPersonalised,
  type TapPlace,
  type Uids,
  type WarmMember,
  type WarmPool,
} from "../../types.ts"
import type { Machine } from "../machine.ts"
import { bootId, end, isAlive } from "../process.ts"
import { readRecord } from "../record.ts"
import { findLaunched } from "../spawn.ts"
import { limitsOf, startMachine, type Workshop } from "../start.ts"
import { type Agent, connectAgent } from "./agent.ts"
import { agentPath, type Clone, copyDisk, patienceOf } from "./clone.ts"
import { removeNamespace } from "./make.ts"
import { findNames, type HardwareNames, type NamedProcess } from "./process-names.ts"
import { rehearse } from "./rehearsal.ts"
import { loadState } from "./state.ts"
import type { Template } from "./template-folder.ts"

const run = promisify(execFile)
const device = "pool0"
export const memberLimit = 64

export interface PoolOptions {
  readonly workshop: Workshop
  /** Holds a directory for each member. */
  readonly runDirectory: string
  /** Holds the directories of machines, whose processes may be of our users. */
  readonly guests: string
  /** Namespaces of members are named so, and a number. */
  readonly namespace: string
  readonly agentMs: number
}

interface Member {
  readonly id: string
  readonly number: number
  readonly tap: TapPlace
  readonly template: string
  readonly uid: number
  readonly diskPath: string
  readonly machine: Machine
  readonly agent: Agent
  readonly process: NamedProcess
}

type Place = (tap: TapPlace) => Promise<TapPlace>

export interface Pool extends Pick<WarmPool, "members" | "end" | "close"> {
  /** One more of this template; see WarmPool. `name` is of the template. */
  add(like: MachineSpec, uids: Uids, name: string, template: Template, place?: Place): Promise<string>
  /**
   * Makes the machine of the member `id`, of the template `name`. Undefined: it is gone or does not fit and waits on; or it could not be,
   * and nothing of it is left; the trace says why.
   */
  take(id: string, name: string, spec: MachineSpec, directory: string, onChange: () => void): Promise<Clone | undefined>
  /** Ends all of a template. */
  drop(name: string): void
}

/** Names that stand nowhere else, of the lengths that an instance's have. */
const randomNames = (): HardwareNames => {
  const hex = (digits: number) => randomBytes(16).toString("hex").slice(0, digits)
  const mac = ["02", ...(hex(10).match(/../g) ?? [])].join(":")
  return { id: `i-${hex(17)}`, uuid: `ec2${randomUUID().slice(3)}`, serial: `vol${hex(17)}`, mac }
}

export async function openPool(options: PoolOptions): Promise<Pool> {
  const { workshop, runDirectory, guests, namespace, agentMs } = options
  const { cgroups, clock, log } = workshop
  await clearMembers(options)
  mkdirSync(runDirectory, { recursive: true, mode: 0o700 })
  const members = new Map<string, Member>()
  /** Those that a machine takes now: they count as waiting until their disk is its own. */
  const taking = new Set<Member>()
  /** Numbers of members that are being made or end; a number is a namespace. */
  const numbers = new Set<number>()
  const closing = new AbortController()
  const adding = new Set<Promise<unknown>>()

  const ownerOf = (folder: string) => statSync(path.join(folder, "sockets"), { throwIfNoEntry: false })?.uid
  /** The first user of ours that no process is of: a machine keeps the user that it had here. */
  const freeUser = ({ first, count }: Uids, starting: ReadonlySet<number>) => {
    const folders = [guests, runDirectory].flatMap((parent) =>
      readdirSync(parent).map((name) => path.join(parent, name)),
    )
    const taken = new Set([...folders.map(ownerOf), ...starting])
    const free = Array.from({ length: count }, (_, at) => first + at).find((uid) => !taken.has(uid))
    if (free === undefined) throw new Error(`all ${count} users of the pool are in use`)
    return free
  }
  const starting = new Set<number>()
  const folderOf = (number: number) => path.join(runDirectory, `${number}`)
  const namespaceOf = (number: number) => `${namespace}${number}`
  const tapOf = (number: number) => ({ device, namespace: namespaceOf(number) })

  const release = async ({ id, number, machine, agent, process }: Member) => {
    members.delete(id)
    agent.close()
    process.close()
    await machine.finish("killed").finally(() => machine.detach())
    await cgroups.remove(id)
    rmSync(folderOf(number), { recursive: true, force: true })
    await removeNamespace(namespaceOf(number))
    numbers.delete(number)
  }
  const forget = (member: Member, why: string) => {
    if (members.get(member.id) !== member) return
    log(`pool: ${member.id} is ended: ${why}`)
    void release(member).catch((error: unknown) => log(`pool: ${member.id}: ${String(error)}`))
  }

  /** Templates whose clones cannot be logged in to as nobody: they wait as they woke. */
  const plain = new Set<string>()
  const tried = new Set<string>()
  const keyFolder = path.join(path.dirname(runDirectory), "pool-key")

  const start = async (
    like: MachineSpec,
    uid: number,
    number: number,
    name: string,
    template: Template,
    place: Place = async (tap) => tap,
  ) => {
    const [disk] = like.disks
    const [nic] = like.nics
    if (!disk || !nic || like.disks.length + like.nics.length > 2) throw new Error("a clone has one disk and one card")
    const names = randomNames()
    const { identity: _, cpuQuotaPercent: _q, ...rest } = like
    const spec: MachineSpec = {
      ...rest,
      id: names.id,
      uuid: names.uuid,
      uid,
      disks: [{ ...disk, id: "root", serial: names.serial }],
      nics: [{ id: "nic", mac: names.mac, mtu: nic.mtu, ...tapOf(number) }],
    }
    const directory = folderOf(number)
    const open: { machine?: Machine; agent?: Agent; process?: NamedProcess } = {}
    const abandon = () => void open.machine?.finish("killed")
    closing.signal.addEventListener("abort", abandon)
    try {
      await removeNamespace(namespaceOf(number))
      await run("ip", ["netns", "add", namespaceOf(number)], { timeout: 10_000 })
      const made = ["tuntap", "add", "dev", device, "mode", "tap", "user", `${uid}`, "group", `${uid}`, "vnet_hdr"]
      await run("ip", ["-n", namespaceOf(number), ...made], { timeout: 10_000 })
      if (template.diskPath !== undefined) await copyDisk(template.diskPath, spec)
      chownSync(disk.path, uid, uid)
      const load = async (started: Machine, fd: number) => {
        open.machine = started
        closing.signal.throwIfAborted()
        open.agent = await connectAgent(agentPath(directory))
        await loadState(started, fd)
        await started.resume()
      }
      const source = {
        memory: { path: template.memory.path, shared: false },
        state: { path: template.state.path, load },
      }
      const onChange = () => {
        const member = members.get(names.id)
        if (member) forget(member, "its process is not as it was")
      }
      const machine = await startMachine(spec, directory, workshop, onChange, source)
      const pid = machine.state().pid
      if (pid === undefined || !open.agent) throw new Error("it ended at once")
      const { agent } = open
      if (like.boot.kind === "kernel" && !plain.has(name)) {
        const { uuid, mac } = names
        const where = { namespace: namespaceOf(number), device, keyFolder }
        const { signal } = closing
        await rehearse({ agent, clock, agentMs, uuid, mac, signal, ...where }).catch((error: unknown) => {
          plain.add(name)
          throw error
        })
      }
      const process = (open.process = findNames(pid, names))
      const tap = await place(tapOf(number))
      return { id: names.id, number, tap, template: name, uid, diskPath: disk.path, machine, agent, process }
    } catch (error) {
      open.agent?.close()
      open.process?.close()
      await open.machine?.finish("killed").finally(() => open.machine?.detach())
      await cgroups.remove(names.id)
      rmSync(directory, { recursive: true, force: true })
      await removeNamespace(namespaceOf(number))
      throw error
    } finally {
      closing.signal.removeEventListener("abort", abandon)
    }
  }

  /** What it cannot become leaves it where it is. */
  const mayBecome = ({ diskPath, id, process }: Member, spec: MachineSpec, directory: string) => {
    const [[disk], [nic]] = [spec.disks, spec.nics]
    if (!disk || disk.secret || !nic || existsSync(directory) || spec.id.length !== id.length) return false
    const names = { id: spec.id, uuid: spec.uuid, serial: disk.serial, mac: nic.mac }
    return process.fits(names) && statSync(disk.path).dev === statSync(diskPath).dev
  }

  /** Up to the moment when it is told who it is, from which on it is nobody else's. */
  const hand = async (member: Member, spec: MachineSpec, directory: string, onChange: () => void) => {
    const [[disk], [nic]] = [spec.disks, spec.nics]
    const { id, machine, process } = member
    if (!disk || !nic) throw new Error("a clone has one disk and one card")
    cgroups.ensure(id, limitsOf(spec, workshop.host.accelerator))
    machine.become({ directory, onChange }, { id: spec.id, cgroup: id })
    process.rename({ id: spec.id, uuid: spec.uuid, serial: disk.serial, mac: nic.mac })
    // Last: its own one, untouched too, is still there until now.
    renameSync(member.diskPath, disk.path)
  }

  const add = async (like: MachineSpec, uids: Uids, name: string, template: Template, place?: Place) => {
    closing.signal.throwIfAborted()
    if (members.size + starting.size >= memberLimit) throw new Error(`the pool holds at most ${memberLimit}`)
    const uid = freeUser(uids, starting)
    const number = Array.from({ length: 2 * memberLimit }, (_, at) => at).find((each) => !numbers.has(each))
    if (number === undefined) throw new Error("all namespaces of the pool are in use")
    starting.add(uid)
    numbers.add(number)
    try {
      const begin = () => start(like, uid, number, name, template, place)
      const member = await begin().catch((error: unknown) => {
        if (!plain.has(name) || tried.has(name) || closing.signal.aborted) throw error
        tried.add(name)
        log(`pool: clones of ${name} are not rehearsed: ${String(error)}`)
        return begin()
      })
      members.set(member.id, member)
      if (!closing.signal.aborted && member.machine.state().phase !== "exited") return member.id
      await release(member)
      throw new Error("it ended at once")
    } catch (error) {
      numbers.delete(number)
      throw error
    } finally {
      starting.delete(uid)
    }
  }

  return {
    add(like, uids, name, template, place) {
      const work = add(like, uids, name, template, place)
      adding.add(work)
      const gone = () => adding.delete(work)
      work.then(gone, gone)
      return work
    },
    members: () =>
      [...members.values(), ...taking].map(({ id, tap, template, machine }): WarmMember => ({
        id,
        template,
        pid: machine.state().pid ?? 0,
        tap,
      })),
    async end(id) {
      const member = members.get(id)
      if (member) await release(member)
    },
    async take(id, name, spec, directory, onChange) {
      const member = members.get(id)
      if (!member || member.template !== name || !mayBecome(member, spec, directory)) return undefined
      members.delete(member.id)
      taking.add(member)
      const { machine, agent, number, tap } = member
      try {
        await timed(
          "command",
          () => `takes ${member.id} from the pool`,
          () => hand(member, spec, directory, onChange),
        )
      } catch (error) {
        log(`pool: ${member.id} could not become ${spec.id}: ${String(error)}`)
        await release(member)
        if (machine.state().phase === "exited" && readRecord(directory)?.cgroup === member.id)
          rmSync(directory, { recursive: true, force: true })
        return undefined
      } finally {
        taking.delete(member)
      }
      member.process.close()
      const { identity, nics, uuid, id: instance } = spec
      const full = { ...identity!, instance, uuid, mac: nics[0]!.mac }
      const named = timed(
        "command",
        () => "agent: identity",
        () => agent.tell(full, clock, agentMs * patienceOf(spec)),
      )
      // Told to whoever personalises it.
      named.catch(() => {})
      // Its process stands in it without its name.
      const left = () => void removeNamespace(namespaceOf(number)).then(() => numbers.delete(number))
      const personalise = async () => {
        try {
          await named
          machine.cloned("named")
          await agent.go()
          machine.cloned("told")
        } catch (error) {
          agent.close()
          throw error instanceof NotPersonalised ? error : new NotPersonalised(String(error), { cause: error })
        }
      }
      return { machine, template: name, tap, left, personalise }
    },
    drop(name) {
      for (const member of members.values()) if (member.template === name) forget(member, "its template is gone")
    },
    async close() {
      closing.abort(new Error("the pool is closed"))
      await Promise.allSettled(adding)
      await Promise.allSettled([...members.values()].map(release))
    },
  }
}

/** Of a process of ours that was killed: whoever waits here is nobody, and those that were being taken are no more here. */
async function clearMembers({ runDirectory, namespace, workshop }: PoolOptions): Promise<void> {
  for (const name of existsSync(runDirectory) ? readdirSync(runDirectory) : []) {
    const directory = path.join(runDirectory, name)
    const record = readRecord(directory)
    if (record && record.bootId === bootId()) {
      const found = record.process ?? (await findLaunched(directory, record.nonce))
      if (found && isAlive(found)) await end(found, workshop.clock)
      await workshop.cgroups.remove(record.cgroup ?? record.id)
    }
    rmSync(directory, { recursive: true, force: true })
  }
  const names = existsSync("/run/netns") ? readdirSync("/run/netns") : []
  for (const name of names) if (name.startsWith(namespace)) await removeNamespace(name)
}
