/** How long each step of a launch took, from the host's own trace. */
import type { Launched } from "./cloud.ts"

/** Milliseconds by step, "stepProcessPreparedMs"; steps of its volume and network with those of the guest. */
export function stepTimes({ why, calledMs, bannerMs, answeredMs }: Launched): Readonly<Record<string, number>> {
  const own = why.host?.entries ?? []
  const entries = [...own, ...why.needs.flatMap((need) => need.host?.entries ?? [])]
  const wished = own.find(({ level }) => level === "wish")?.atMs ?? calledMs
  const on = own.find(({ level, what }) => level === "observed" && what.startsWith("on,"))?.atMs ?? Number.NaN
  const times: Record<string, number> = {
    toAnswerMs: answeredMs,
    toWishOnHostMs: wished - calledMs,
    toGuestRunningMs: on - calledMs,
    fromRunningToBannerMs: bannerMs - (on - calledMs),
  }
  for (const { level, what, ms, atMs } of entries) {
    if (level !== "step" || atMs < wished - 5 || atMs > on) continue
    const name = `step${what.replaceAll(/(?:^|\s)([a-z])/g, (_, letter: string) => letter.toUpperCase())}Ms`
    times[name] = (times[name] ?? 0) + ms
  }
  return times
}
