/** Whether a guest that starts may be a clone, and the one of the pool that it takes over. */
import type { Boot, Identity, Nic } from "#engine/hypervisor/types.ts"
import type { WarmKind } from "../protocol/types.ts"
import { bootsFor, identityOf } from "./guest-identity.ts"
import type { Scene, StartScene } from "./guest-scene.ts"

/** The kind of template that guests like this one are cloned from. */
export function templateKind({ wish: { image, vcpus, memoryMiB, disks }, world }: StartScene): WarmKind {
  const [root] = disks
  const volume = root && world.entry(root.volume)?.wish
  if (volume?.kind !== "volume") return { image, vcpus, memoryMiB }
  const { sizeBytes, snapshot } = volume
  return { image, vcpus, memoryMiB, sizeBytes, ...(snapshot !== undefined && { snapshot }) }
}

/** Its disk is a copy that nobody can read without its own key, so no template has what is on it. */
const isEncryptedCopy = ({ wish, world }: StartScene) =>
  wish.disks.some(({ volume, bootIndex }) => {
    const spec = world.entry(volume)?.wish
    return bootIndex !== undefined && spec?.kind === "volume" && spec.snapshot !== undefined && spec.key !== undefined
  })

/** What it is told as a clone, or why it boots. */
export function cloneIdentity(scene: StartScene, boot: Boot): Identity | string {
  const { wish, world, memory } = scene
  const found = memory.refused ?? (isEncryptedCopy(scene) ? "its disk is an encrypted copy" : identityOf(wish, world))
  const whole = typeof found !== "string" && boot.kind === "firmware"
  return whole ? (bootsFor(found.userData) ?? found) : found
}

/**
 * A clone of the pool brings its tap: a guest that may take one over has none made. The tap becomes the port's
 * while the rest is done: its volume, the network's filters.
 */
export async function nicOfPool(scene: StartScene): Promise<Nic | undefined> {
  const { wish, world, memory, record } = scene
  const { pool } = world
  const [first, ...others] = wish.ports
  const may = others.length === 0 && record?.starts === -1 && memory.noneWaits !== true
  // For another wish.
  if (memory.reserved && !(may && memory.reserved.port === first?.port.id)) await giveUpReserved(scene)
  if (!pool || !first || !may) return undefined
  if (!memory.reserved) {
    const image = await world.images.find(wish.image)
    if (!image || typeof cloneIdentity(scene, image.boot) === "string") return undefined
    const reserved = pool.reserve(templateKind(scene), first.network)
    if (!reserved) return undefined
    memory.reserved = { ...reserved, port: first.port.id }
    // Where it fails, the step that needs it tries again and says why.
    world.network.bringPort(first.network, first.port, reserved.tap).catch(() => {})
  }
  return { id: first.port.id, mac: first.port.mac, mtu: pool.mtu, ...memory.reserved.tap }
}

/** It is taken over by nobody. `removePort` finds its tap wherever it stands by now. */
export async function giveUpReserved({ record, memory, world }: Scene): Promise<void> {
  const { reserved } = memory
  if (!reserved) return
  delete memory.reserved
  for (const { network, port, number } of record?.ports ?? []) await world.network.removePort(network, port, number)
  await world.pool?.giveUp(reserved.id)
}
