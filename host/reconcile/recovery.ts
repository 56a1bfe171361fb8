/**
 * Automatic recovery: a guest whose process was ended by nobody that may is started again, with the same disks, addresses and id.
 * As EC2's simplified automatic recovery, at most three times a day ("Automatic instance recovery" in its user guide).
 */
import { timed } from "#lib/trace.ts"
import type { StartScene } from "./guest-scene.ts"

export const mostRecoveries = 3
const windowMs = 24 * 3_600_000

/** Whether the run that the record tells of ended by a crash of its process: not by the guest, and not by us. */
export function crashed({ record, machine }: StartScene): boolean {
  return machine.phase === "exited" && record?.cause === undefined && machine.cause === "killed"
}

/** Why it stays down; undefined: it may be started again. A reboot that was asked for starts it in any case. */
export function whyDown({ wish, record, world }: StartScene): string | undefined {
  if (wish.resets > (record?.resets ?? 0)) return undefined
  const ended = "the machine's process ended without being asked to"
  if (wish.afterCrash === "stay") return `${ended}; automatic recovery is disabled`
  const lately = recentOf(record?.recoveries, world.clock.wallMs())
  return lately.length < mostRecoveries
    ? undefined
    : `${ended}; it was recovered ${lately.length} times within 24 hours already`
}

/**
 * Makes the start count as not carried out, so that it is carried out once more, by this process or the next. What the ended process
 * held must have been given back. Counted before it is tried: a guest that always crashes is recovered no more often for that.
 */
export async function beginRecovery(scene: StartScene): Promise<void> {
  const { id, wish, world } = scene
  const { cause: _, ...record } = scene.record!
  const nowMs = world.clock.wallMs()
  const recoveries = [...recentOf(record.recoveries, nowMs), nowMs]
  await timed(
    "step",
    () => `recovery ${recoveries.length} of ${mostRecoveries} in 24 hours: its process had ended`,
    async () => {
      scene.record = { ...record, starts: wish.starts - 1, recoveries }
      await world.records.write(id, scene.record)
    },
  )
}

/** A clock that was set back makes none of them last longer. */
const recentOf = (recoveries: readonly number[] | undefined, nowMs: number) =>
  (recoveries ?? []).filter((atMs) => Math.abs(nowMs - atMs) < windowMs).slice(-mostRecoveries)
