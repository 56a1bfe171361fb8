/** The ways a guest can come to be, each on a cloud of its own that stands before anything is measured. */
import type { Closers } from "../report/closers.ts"
import { openByHand } from "./by-hand.ts"
import { type CloudOptions, type ImageKind, openCloud, type RealCloud } from "./cloud.ts"
import type { Contact } from "./first-contact.ts"
import { stepTimes } from "./steps.ts"

export const sides = ["cold", "hand", "warm", "pool", "resume"] as const
export type Side = (typeof sides)[number]
export const isSide = (word: string): word is Side => sides.some((side) => side === word)

export interface Turn extends Contact {
  readonly steps: Readonly<Record<string, number>>
}

/** One launch of each side asked for; the machine is gone when it resolves. */
export async function openSides(
  chosen: readonly Side[],
  closers: Closers,
  kind: ImageKind,
): Promise<Readonly<Record<Side, () => Promise<Turn>>>> {
  const missing = () => Promise.reject(new Error("not asked for"))
  const open: Record<Side, () => Promise<Turn>> = {
    cold: missing,
    hand: missing,
    warm: missing,
    pool: missing,
    resume: missing,
  }
  if (chosen.includes("cold") || chosen.includes("hand")) {
    const cloud = await openCloud("off", { kind })
    closers.add(() => cloud.close())
    // The first launch makes the VPC's network and the volume's template: a cloud in use has both.
    const first = await cloud.launch()
    if (chosen.includes("hand")) {
      const hand = await openByHand(await cloud.model(first.id), cloud.key)
      closers.add(() => hand.close())
      await hand.launch()
      open.hand = async () => ({ ...(await hand.launch()), steps: {} })
    }
    await cloud.terminate(first.id)
    open.cold = () => turn(cloud)
  }
  if (chosen.includes("warm")) {
    const cloud = await openWarm({ kind })
    closers.add(() => cloud.close())
    open.warm = () => turn(cloud, "clones template")
  }
  if (chosen.includes("pool")) {
    const cloud = await openWarm({ pool: 1, kind })
    closers.add(() => cloud.close())
    open.pool = async () => {
      await cloud.pooled()
      return turn(cloud, "takes i-")
    }
  }
  if (chosen.includes("resume")) {
    const cloud = await openCloud()
    closers.add(() => cloud.close())
    const sleeper = await cloud.sleeper()
    open.resume = async () => ({ ...(await sleeper.resume()), steps: {} })
  }
  return open
}

/** A cloud whose next launch is a clone. */
export async function openWarm(options: CloudOptions = {}): Promise<RealCloud> {
  const cloud = await openCloud("on", options)
  await cloud.warm()
  // The first one makes the VPC's network.
  await cloud.terminate((await cloud.launch()).id)
  return cloud
}

/** `way`: how the launch must have gone, by its trace: another would be no measurement of this side. */
async function turn(cloud: RealCloud, way?: string): Promise<Turn> {
  const launched = await cloud.launch()
  if (way !== undefined && !launched.why.host?.entries.some(({ what }) => what.startsWith(way)))
    throw new Error(`${launched.id} came another way`)
  await cloud.terminate(launched.id)
  const { bannerMs, commandMs } = launched
  return { bannerMs, commandMs, steps: stepTimes(launched) }
}
