/** Emptying a simulated cloud between tests. */
import { type Result, result } from "../report/result.ts"
import { call, firstImage, pairCount, runInstances } from "./compare.ts"
import { defaultRegion, settled, withHome } from "./daemon.ts"

const instances = 20
const limitMs = 20

/** Times of POST /_fractus/reset, each of a cloud in which instances run. */
export function measureReset(note: (text: string) => void): Promise<readonly Result[]> {
  return withHome("off", async (home) => {
    const daemon = await home.start()
    const image = await firstImage(daemon)
    note("reset")
    const timesMs: number[] = []
    for (let at = 0; at < pairCount; at++) {
      await call(daemon, defaultRegion, { ...runInstances(instances), ImageId: image })
      await settled(daemon.port)
      const startMs = performance.now()
      const answer = await fetch(`http://127.0.0.1:${daemon.port}/_fractus/reset`, { method: "POST" })
      await answer.arrayBuffer()
      timesMs.push(performance.now() - startMs)
      if (answer.status !== 200) throw new Error(`reset answered ${answer.status}`)
      const { body } = await call(daemon, defaultRegion, { Action: "DescribeInstances" })
      if (body.includes("<instanceId>")) throw new Error("an instance outlived the reset")
    }
    return [result(`Reset of a cloud with ${instances} instances`, "ms", limitMs, timesMs)]
  })
}
