/** Calls of the API against a bare answer of the same bytes, in interleaved pairs. */
import { type Result, quantile, result } from "../report/result.ts"
import { ask, load } from "./client.ts"
import { type Daemon, settled, withBare, withHome } from "./daemon.ts"
import { cpuMs } from "./processes.ts"
import { signedRequests } from "./sign.ts"

export const pairCount = 15

interface Case {
  readonly instances: number
  readonly region: string
  readonly pairs: number
  /** Requests in each half of a pair: halves so short that the machine is the same for both. */
  readonly requests: number
  readonly bareRequests: number
  readonly cpuLimit: number | null
  readonly latencyLimitMs: number | null
}

// One region for each size, so that DescribeInstances without parameters gives just those.
const cases: readonly Case[] = [
  {
    instances: 1,
    region: "us-east-1",
    pairs: 60,
    requests: 2500,
    bareRequests: 2500,
    cpuLimit: 1.5,
    latencyLimitMs: null,
  },
  {
    instances: 100,
    region: "us-west-2",
    pairs: pairCount,
    requests: 1000,
    bareRequests: 5000,
    cpuLimit: null,
    latencyLimitMs: null,
  },
  {
    instances: 1000,
    region: "eu-west-1",
    pairs: pairCount,
    requests: 50,
    bareRequests: 500,
    cpuLimit: null,
    latencyLimitMs: 50,
  },
]
const launches = 50
const bareLaunches = 5000

const describeAll = { Action: "DescribeInstances" }
export const runInstances = (count: number): Readonly<Record<string, string>> => ({
  Action: "RunInstances",
  ImageId: "resolve",
  InstanceType: "t3.micro",
  MinCount: String(count),
  MaxCount: String(count),
})

/** The id of an image that can be launched. */
export async function firstImage(daemon: Daemon): Promise<string> {
  const target = { ...daemon, region: "us-east-1" }
  const [request] = signedRequests(target, { Action: "DescribeImages" }, 1)
  const { body } = await ask(daemon.port, request ?? Buffer.alloc(0))
  const id = /<imageId>(ami-[0-9a-f]+)<\/imageId>/.exec(body.toString("latin1"))?.[1]
  if (id === undefined) throw new Error("the cloud has no image")
  return id
}

/** Makes one call and gives its answer as text. */
export async function call(
  daemon: Daemon,
  region: string,
  parameters: Readonly<Record<string, string>>,
): Promise<{ head: string; body: Buffer }> {
  const [request] = signedRequests({ ...daemon, region }, parameters, 1)
  return ask(daemon.port, request ?? Buffer.alloc(0))
}

/** Both servers stay; the load goes to one and to the other in turn. Other work on the machine meets both alike. */
export function compareAll(note: (text: string) => void): Promise<readonly Result[]> {
  return withHome("on", async (home) => {
    const daemon = await home.start()
    const image = await firstImage(daemon)
    const results: Result[] = []
    for (const each of cases) {
      await call(daemon, each.region, { ...runInstances(each.instances), ImageId: image })
      await settled(daemon.port)
      note(`DescribeInstances of ${each.instances}`)
      results.push(...(await compareDescribe(daemon, each)))
    }
    note("RunInstances")
    results.push(...(await compareLaunch(daemon, image)))
    return results
  })
}

/** Short calls are compiled well only after thousands. */
const warmUp = (requests: number) => (requests > 1000 ? 8000 : requests)

async function compareDescribe(daemon: Daemon, each: Case): Promise<readonly Result[]> {
  const { instances, region, cpuLimit, latencyLimitMs } = each
  const signed = signedRequests({ ...daemon, region }, describeAll, each.requests)
  const answer = await ask(daemon.port, signed[0] ?? Buffer.alloc(0))
  const found = answer.body.toString("latin1").match(/<instanceId>/g)?.length
  if (found !== instances) throw new Error(`${found} instances instead of ${instances} in ${region}`)
  const name = `DescribeInstances of ${instances}`
  return withBare(answer, async (bare) => {
    // Both compile their code before anything counts.
    await load(daemon.port, signed, warmUp(each.requests))
    await load(bare.port, signed, warmUp(each.bareRequests))
    return report(name, await pairs(daemon, bare, () => signed, each), cpuLimit, latencyLimitMs)
  })
}

/** Each pair launches anew, so that the store grows as in life. CPU counts until every instance runs. */
async function compareLaunch(daemon: Daemon, image: string): Promise<readonly Result[]> {
  const region = "ap-south-1"
  const parameters = { ...runInstances(1), ImageId: image }
  const answer = await call(daemon, region, parameters)
  return withBare(answer, async (bare) => {
    const measured = await pairs(daemon, bare, () => signedRequests({ ...daemon, region }, parameters, launches), {
      pairs: pairCount,
      requests: launches,
      bareRequests: bareLaunches,
    })
    return report("RunInstances of 1, until it runs", measured, null, null)
  })
}

interface Pair {
  readonly oursUs: number
  readonly bareUs: number
  readonly timesMs: readonly number[]
  readonly bareTimesMs: readonly number[]
}

async function pairs(
  daemon: Daemon,
  bare: { readonly pid: number; readonly port: number },
  sign: () => readonly Buffer[],
  { pairs: count, requests, bareRequests }: Pick<Case, "pairs" | "requests" | "bareRequests">,
): Promise<readonly Pair[]> {
  const measured: Pair[] = []
  for (let at = 0; at < count; at++) {
    const signed = sign()
    const bareBeforeMs = cpuMs(bare.pid)
    const bareTimesMs = await load(bare.port, signed, bareRequests)
    const bareUs = ((cpuMs(bare.pid) - bareBeforeMs) * 1000) / bareRequests
    const beforeMs = cpuMs(daemon.pid)
    const timesMs = await load(daemon.port, signed, requests)
    await settled(daemon.port)
    const oursUs = ((cpuMs(daemon.pid) - beforeMs) * 1000) / requests
    measured.push({ oursUs, bareUs, timesMs, bareTimesMs })
  }
  return measured
}

function report(
  name: string,
  measured: readonly Pair[],
  cpuLimit: number | null,
  latencyLimitMs: number | null,
): readonly Result[] {
  const of = (value: (pair: Pair) => number): number => quantile(measured.map(value), 0.5)
  return [
    result(
      `${name}: CPU against a bare answer`,
      "times",
      cpuLimit,
      measured.map(({ oursUs, bareUs }) => oursUs / bareUs),
      { oursUs: of(({ oursUs }) => oursUs), bareUs: of(({ bareUs }) => bareUs) },
    ),
    result(
      `${name}: time of an answer, four clients at once`,
      "ms",
      latencyLimitMs,
      measured.flatMap(({ timesMs }) => timesMs),
      {
        bareMedianMs: quantile(
          measured.flatMap(({ bareTimesMs }) => bareTimesMs),
          0.5,
        ),
      },
    ),
  ]
}
