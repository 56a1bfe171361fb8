/**
 * `fractus bench launch [--json] [--pairs N]`: from RunInstances to the ssh banner of a cold guest, beside the same image started by
 * hand in QEMU the same way, and of a clone of a warm template, in interleaved turns; and each step of a launch. Needs root and real
 * guests.
 */
import { parseArgs } from "node:util"
import { openByHand } from "./launch/by-hand.ts"
import { openCloud } from "./launch/cloud.ts"
import { stepTimes } from "./launch/steps.ts"
import { openClosers } from "./report/closers.ts"
import { line, loadAverage, machineFacts, type Report, quantile, result } from "./report/result.ts"

const { values } = parseArgs({ options: { json: { type: "boolean" }, pairs: { type: "string", default: "15" } } })
const pairs = Number(values.pairs)
if (!Number.isInteger(pairs) || pairs < 1 || pairs > 1000) throw new Error("--pairs is 1 to 1000")

const loadBefore = loadAverage()
const closers = openClosers()
const ours: number[] = []
const byHand: number[] = []
const warm: number[] = []
const steps: Readonly<Record<string, number>>[] = []
const warmSteps: Readonly<Record<string, number>>[] = []
try {
  const cloud = await openCloud()
  closers.add(() => cloud.close())
  // The first launch makes the VPC's network and the volume's template: a cloud in use has both.
  const first = await cloud.launch()
  const hand = await openByHand(await cloud.model(first.id))
  closers.add(() => hand.close())
  await cloud.terminate(first.id)
  await hand.launch()
  const second = await openCloud("on")
  closers.add(() => second.close())
  const like = await second.launch()
  await second.warm()
  await second.terminate(like.id)
  const launchWarm = async () => {
    const launched = await second.launch()
    // Whether it was one: a launch that boots would be no measurement of this.
    if (!launched.why.host?.entries.some(({ what }) => what.startsWith("clones template")))
      throw new Error(`${launched.id} is no clone`)
    warm.push(launched.totalMs)
    warmSteps.push(stepTimes(launched))
    await second.terminate(launched.id)
  }
  const launchOurs = async () => {
    const launched = await cloud.launch()
    ours.push(launched.totalMs)
    steps.push(stepTimes(launched))
    await cloud.terminate(launched.id)
  }
  const launchByHand = async () => void byHand.push(await hand.launch())
  for (let at = 0; at < pairs; at++) {
    // Each goes first in every other pair: what the first one warms, the second finds.
    for (const launch of at % 2 === 0 ? [launchOurs, launchByHand] : [launchByHand, launchOurs]) await launch()
    await launchWarm()
    const [mine = 0, other = 0, clone = 0] = [ours.at(-1), byHand.at(-1), warm.at(-1)].map((ms) => Math.round(ms ?? 0))
    console.error(`  pair ${at + 1} of ${pairs}: ${mine} ms, by hand ${other} ms, warm ${clone} ms`)
  }
} finally {
  await closers.close()
}

// No promise is kept by a yardstick that bends, as when addresses of the bench were the machine's own and ARP went unanswered.
if (Math.max(...byHand) > 3 * Math.min(...byHand)) {
  const seen = byHand.map((ms) => Math.round(ms)).join(", ")
  throw new Error(
    `the guests by hand took ${seen} ms: too uneven to compare with (ours: ${ours.map(Math.round).join(", ")} ms)`,
  )
}

const median = (of: readonly number[]) => quantile(of, 0.5)
const medians = (of: typeof steps) => {
  const names = [...new Set(of.flatMap((each) => Object.keys(each)))]
  return Object.fromEntries(names.map((name) => [name, median(of.map((each) => each[name] ?? 0))]))
}
const ratios = ours.map((mine, at) => mine / (byHand[at] ?? Number.NaN))
const results = [
  result("cold launch: RunInstances to ssh banner, against the same guest started by hand", "times", 1.1, ratios, {
    byHandMedianMs: median(byHand),
  }),
  result("cold launch: RunInstances to ssh banner", "ms", null, ours, medians(steps)),
  result("warm launch: RunInstances to ssh banner", "ms", 700, warm, medians(warmSteps)),
]
const day = new Date().toISOString().slice(0, 10)
const report: Report = { name: "launch", day, machine: machineFacts(loadBefore), results }
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else for (const each of results) console.log(line(each))
