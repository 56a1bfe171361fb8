/** The steps from nothing to a running guest, in the order in which they must be made. All are looked at while it runs, too. */
import { UnusableMemory } from "#engine/hypervisor/memory-image.ts"
import { type Boot, type Disk, type Identity, type Nic, NoneWaits, NotPersonalised } from "#engine/hypervisor/types.ts"
import { timed } from "#lib/trace.ts"
import type { GuestSpec } from "../protocol/types.ts"
import { infraAddress } from "../metadata.ts"
import { cloneIdentity, giveUpReserved, nicOfPool, templateKind } from "./guest-clone.ts"
import { networksReady, portsInForce, volumesReady } from "./guest-needs.ts"
import { heldBy, isAlive, type StartScene as Scene } from "./guest-scene.ts"
import type { GuestRecord } from "./record.ts"
import { TroubleError, type Outcome, type Step } from "./steps.ts"

const alive = ({ machine }: Scene) => isAlive(machine)
const uidOf = ({ wish, world }: Scene) => world.uidBase + wish.number

const fits: Step<Scene> = {
  name: "capacity",
  holds: (scene) => alive(scene) || scene.world.hypervisor.name === "sim",
  make: async ({ wish, world }) => {
    const { cpus, memoryMiB } = await world.hypervisor.probe()
    if (wish.vcpus <= cpus && wish.memoryMiB <= memoryMiB) return
    const asked = `${wish.vcpus} vCPUs and ${wish.memoryMiB} MiB`
    throw new TroubleError("no-capacity", `${asked} do not fit a host of ${cpus} and ${memoryMiB} MiB`, true)
  },
}

/** Written before anything is taken, so that whatever is found later can be given back. */
const taken: Step<Scene> = {
  name: "record of what it takes",
  holds: ({ machine, record }) => isAlive(machine) && record !== undefined,
  make: async (scene) => {
    const { id, wish, record, world, memory, entry } = scene
    const ports = wish.ports.map(({ network, port }) => ({ network, port: port.id, number: port.number }))
    const volumes = wish.disks.map((disk) => disk.volume)
    const before = new Set(ports.map((each) => each.port))
    const next: GuestRecord = {
      bootId: record?.bootId ?? world.bootId,
      starts: record?.starts ?? -1,
      resets: record?.resets ?? 0,
      ...(record?.recoveries === undefined ? {} : { recoveries: record.recoveries }),
      ...(record?.hibernated === undefined ? {} : { hibernated: record.hibernated }),
      ...(record?.notResumed === undefined ? {} : { notResumed: record.notResumed }),
      volumes: memory.released ? volumes : [...new Set([...volumes, ...(record?.volumes ?? [])])],
      ports: memory.released ? ports : [...ports, ...(record?.ports ?? []).filter((each) => !before.has(each.port))],
    }
    await world.records.write(id, next)
    scene.record = next
    memory.released = false
    entry.holds = heldBy(next)
  },
}

const disks: Step<Scene> = {
  name: "disks presented",
  holds: (scene) => alive(scene) || scene.disks !== undefined,
  make: async (scene) => {
    const { wish, world } = scene
    const present = async ({ volume, serial, bootIndex }: GuestSpec["disks"][number]): Promise<Disk> => {
      const file = await world.storage.present(volume, uidOf(scene))
      return { id: volume, serial, ...file, ...(bootIndex === undefined ? {} : { bootIndex }) }
    }
    scene.disks = await Promise.all(wish.disks.map(present))
  },
}

const nics: Step<Scene> = {
  name: "ports created",
  holds: (scene) => alive(scene) || scene.nics !== undefined,
  make: async (scene) => {
    const { wish, memory, world } = scene
    const ofPool = await nicOfPool(scene)
    const of = JSON.stringify(wish.ports)
    const { made } = memory
    // Once: a start that failed may have failed for what is not there any more.
    delete memory.made
    if (ofPool) scene.nics = [ofPool]
    else if (made?.of === of) scene.nics = made.nics
    else {
      const nics: Nic[] = []
      for (const { network, port } of wish.ports) {
        const handle = await world.network.createPort(network, port, uidOf(scene))
        nics.push({ id: port.id, mac: port.mac, ...handle })
      }
      memory.made = { of, nics }
      scene.nics = nics
    }
  },
}

const prepared: Step<Scene> = {
  name: "process prepared",
  holds: alive,
  make: async (scene): Promise<Outcome | void> => {
    const { id, wish, world } = scene
    const image = await world.images.find(wish.image)
    if (!image) throw new TroubleError("no-image", `image ${wish.image} is not on this host`, true)
    const { architecture, vcpus, memoryMiB, uuid, cpuQuotaPercent, machineVersion } = wish
    const resumeFrom = await world.memories.find(id)
    if (!resumeFrom && scene.record?.hibernated === true) return bootWithout(scene, "its image is gone")
    const identity = resumeFrom ? undefined : await identityFor(scene, image.boot)
    const spec = {
      id,
      architecture,
      vcpus,
      memoryMiB,
      uuid,
      ...world.identity,
      boot: image.boot,
      disks: scene.disks ?? [],
      nics: scene.nics ?? [],
      uid: uidOf(scene),
      ...(cpuQuotaPercent === undefined ? {} : { cpuQuotaPercent }),
      ...(machineVersion === undefined ? {} : { machineVersion }),
    }
    if (identity) {
      world.warmer?.want(spec, templateKind(scene))
      if (wish.ports[0]) world.pool?.used(templateKind(scene), wish.ports[0].network)
    }
    try {
      const fromPool = scene.memory.reserved?.id
      if (fromPool !== undefined && !identity) throw new NoneWaits("it finds out by itself")
      const how = {
        ...(identity && { identity }),
        ...(resumeFrom && { resumeFrom }),
        ...(fromPool !== undefined && { fromPool }),
      }
      scene.machine = await world.hypervisor.prepare({ ...spec, ...how })
      if (fromPool !== undefined) world.pool?.taken(fromPool)
      delete scene.memory.reserved
    } catch (error) {
      if (error instanceof UnusableMemory) return bootWithout(scene, error.message)
      if (!(error instanceof NoneWaits)) throw error
      scene.memory.noneWaits = true
      await giveUpReserved(scene)
      return { kind: "again", delayMs: 0 }
    }
    delete scene.memory.pluggedPid
    delete scene.memory.document
  },
}

/** For a guest that may be a clone. The trace says why one may not. */
async function identityFor(scene: Scene, boot: Boot): Promise<Identity | undefined> {
  if (!scene.world.warmer) return undefined
  const identity = cloneIdentity(scene, boot)
  if (typeof identity !== "string") return identity
  return timed(
    "command",
    () => `boots: ${identity}`,
    () => undefined,
  )
}

/** Its memory can be used by nobody, now or later: it boots, as a guest whose own hibernation image is damaged does. */
async function bootWithout(scene: Scene, why: string): Promise<Outcome> {
  const { id, wish, world } = scene
  const { hibernated: _, ...record } = scene.record!
  await timed(
    "command",
    () => `boots without its memory: ${why}`,
    async () => {
      await world.records.write(id, { ...record, notResumed: { starts: wish.starts, why } })
      await world.memories.forget(id)
    },
  )
  return { kind: "again", delayMs: 0 }
}

const brought: Step<Scene> = {
  name: "ports brought",
  holds: (scene) => plugged.holds(scene),
  make: async ({ wish, machine, world }) => {
    for (const { network, port } of wish.ports) await world.network.bringPort(network, port, machine.tap)
  },
}

const plugged: Step<Scene> = {
  name: "ports plugged",
  holds: ({ memory, machine }) => memory.pluggedPid !== undefined && memory.pluggedPid === (machine.pid ?? 0),
  make: async ({ wish, memory, machine, world }) => {
    for (const { network, port } of wish.ports) await world.network.plugPort(network, port.id, machine.tap)
    memory.pluggedPid = machine.pid ?? 0
  },
}

const metadata: Step<Scene> = {
  name: "metadata document",
  holds: ({ wish, memory }) => memory.document === JSON.stringify(wish.metadata),
  make: async ({ wish, record, memory, world }) => {
    for (const { network, number } of record?.ports ?? [])
      await world.metadata.write(infraAddress(number), { ...wish.metadata, network })
    memory.document = JSON.stringify(wish.metadata)
  },
}

/** Before the first instruction: a guest that ends at once is off, not started again. */
const counted: Step<Scene> = {
  name: "start counted",
  holds: ({ wish, record, world }) => record?.bootId === world.bootId && record.starts === wish.starts,
  make: async (scene) => {
    const { id, wish, machine, world } = scene
    const { cause: _, notKept: _n, hibernated: _h, ...record } = scene.record!
    const fresh = machine.phase === "prepared" || record.starts < 0
    const resets = fresh ? wish.resets : record.resets
    scene.record = { ...record, bootId: world.bootId, starts: wish.starts, resets }
    await world.records.write(id, scene.record)
  },
}

/** From its next instruction on, the guest's disks are no more what its memory takes them for. */
const unkept: Step<Scene> = {
  name: "memory not kept",
  holds: async ({ id, machine, world }) => machine.phase !== "prepared" || !(await world.memories.has(id)),
  make: async ({ id, world }) => world.memories.forget(id),
}

const running: Step<Scene> = {
  name: "guest running",
  holds: ({ machine: { phase, cause } }) => phase === "running" || (phase === "paused" && cause === "guest-panic"),
  make: async (scene): Promise<Outcome | void> => {
    const { id, world } = scene
    try {
      await world.hypervisor.resume(id)
    } catch (error) {
      if (!(error instanceof NotPersonalised)) throw error
      // The next pass finds that it ended as nobody.
      scene.memory.refused = `its clone was refused: ${error.message}`
      return { kind: "again", delayMs: 0 }
    }
    scene.machine = await world.hypervisor.inspect(id)
    if (scene.machine.phase === "running") return
    if (scene.machine.cause === "io-error") throw new TroubleError("disk-full", "paused: a write to its disk failed")
    throw new TroubleError(
      "crashed",
      `it is ${scene.machine.phase} after its start: ${scene.machine.cause ?? "unknown"}`,
    )
  },
}

const reset: Step<Scene> = {
  name: "resets",
  holds: ({ wish, record }) => (record?.resets ?? 0) >= wish.resets,
  make: async (scene) => {
    const { id, wish, world } = scene
    await world.hypervisor.reset(id)
    await world.hypervisor.resume(id)
    scene.record = { ...scene.record!, resets: wish.resets }
    await world.records.write(id, scene.record)
    scene.machine = await world.hypervisor.inspect(id)
  },
}

export const startSteps: readonly Step<Scene>[] = [
  fits,
  networksReady,
  taken,
  // While its volumes are made.
  nics,
  volumesReady,
  disks,
  prepared,
  brought,
  portsInForce,
  plugged,
  metadata,
  counted,
  unkept,
  running,
  reset,
]
