/** Many guests by one call: how long until each can be used, and the memory that they take. */
import type { Result } from "../report/result.ts"
import { quantile, result } from "../report/result.ts"
import { openClosers } from "../report/closers.ts"
import { memoryOf } from "#host/memory.ts"
import { openCloud, type RealCloud } from "./cloud.ts"
import { openWarm, type Side } from "./sides.ts"

/** One call for each side that a call can choose: The others are passed over. */
export async function launchAtOnce(count: number, chosen: readonly Side[]): Promise<readonly Result[]> {
  const results: Result[] = []
  for (const side of chosen) {
    if (side !== "cold" && side !== "warm") continue
    const closers = openClosers()
    try {
      const cloud = side === "warm" ? await openWarm({ many: true }) : await openBooted()
      closers.add(() => cloud.close())
      results.push(...(await one(count, side, cloud)))
    } finally {
      await closers.close()
    }
  }
  return results
}

async function openBooted(): Promise<RealCloud> {
  const cloud = await openCloud("off", { many: true })
  await cloud.terminate((await cloud.launch()).id)
  return cloud
}

async function one(count: number, side: Side, cloud: RealCloud): Promise<readonly Result[]> {
  const contacts = await cloud.launchMany(count)
  const pids = [...(await cloud.processes())].flatMap(([name, pid]) => (name.startsWith("qemu ") ? [pid] : []))
  const memory = (await Promise.all(pids.map(memoryOf))).flatMap((each) => each ?? [])
  const median = (of: readonly number[]) => quantile(of, 0.5)
  const name = `${count} ${side} launches by one call`
  const banners = contacts.map(({ bannerMs }) => bannerMs)
  return [
    result(`${name}: to ssh banner`, "ms", null, banners, {
      lastMs: Math.max(...banners),
      pssMiB: median(memory.map(({ pssBytes }) => pssBytes / 2 ** 20)),
      rssMiB: median(memory.map(({ rssBytes }) => rssBytes / 2 ** 20)),
    }),
    result(
      `${name}: to the end of the first ssh command`,
      "ms",
      null,
      contacts.map(({ commandMs }) => commandMs),
    ),
  ]
}
