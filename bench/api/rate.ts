/** How many calls in a second, of one client and of eight at once, with every service loaded: a read given again, one looked up, a write. */
import { quantile, type Result, result } from "../report/result.ts"
import { load } from "./client.ts"
import { call, firstImage, runInstances } from "./compare.ts"
import { defaultRegion, settled, withHome } from "./daemon.ts"
import { signedRequests } from "./sign.ts"

const instances = 20
const rounds = 15
const clients = [1, 8] as const

interface Kind {
  readonly name: string
  /** Calls of a round. */
  readonly calls: number
  /** Its `at`-th call of a round, about one of the instances. */
  readonly parameters: (at: number, instance: string, round: number) => Readonly<Record<string, string>>
}

/** So many different calls of a kind; each is sent several times in a round. */
const different = 100

const tag = (instance: string, value: string) => ({
  Action: "CreateTags",
  "ResourceId.1": instance,
  "Tag.1.Key": "bench",
  "Tag.1.Value": value,
})
const kinds: readonly Kind[] = [
  { name: `DescribeInstances of ${instances}`, calls: 1000, parameters: () => ({ Action: "DescribeInstances" }) },
  {
    // No two are alike, and a write before the round makes all that is kept old.
    name: `DescribeInstances by a tag, none of ${instances}`,
    calls: different,
    parameters: (at) => ({ Action: "DescribeInstances", "Filter.1.Name": "tag:none", "Filter.1.Value.1": String(at) }),
  },
  { name: "CreateTags", calls: different, parameters: (at, instance, round) => tag(instance, `${round} ${at}`) },
]

/** Rates, and how long one call took (p50, p99). */
export function measureRate(note: (text: string) => void): Promise<readonly Result[]> {
  return withHome("on", async (home) => {
    const daemon = await home.start()
    const image = await firstImage(daemon)
    const { body } = await call(daemon, defaultRegion, { ...runInstances(instances), ImageId: image })
    const ids = body.toString("latin1").match(/(?<=<instanceId>)i-[0-9a-f]+/g) ?? []
    await settled(daemon.port)
    const target = { ...daemon, region: defaultRegion }
    const sign = ({ parameters }: Kind, round: number) =>
      Array.from({ length: different }, (_, at) => {
        const [request] = signedRequests(target, parameters(at, ids[at % ids.length] ?? "", round), 1)
        return request ?? Buffer.alloc(0)
      })
    const results: Result[] = []
    for (const kind of kinds)
      for (const connections of clients) {
        note(`${kind.name}, ${connections} at once`)
        const rates: number[] = []
        const timesMs: number[] = []
        for (let round = 0; round < rounds; round++) {
          const requests = sign(kind, round)
          await call(daemon, defaultRegion, tag(ids[0] ?? "", `before ${round}`))
          const startMs = performance.now()
          timesMs.push(...(await load(daemon.port, requests, kind.calls, connections)))
          rates.push((kind.calls * 1000) / (performance.now() - startMs))
        }
        const detail = { p50Ms: quantile(timesMs, 0.5), p99Ms: quantile(timesMs, 0.99) }
        const words = `${kind.name}: calls in a second, ${connections === 1 ? "one client" : `${connections} clients at once`}`
        results.push(result(words, "per second", null, rates, detail))
      }
    return results
  })
}
