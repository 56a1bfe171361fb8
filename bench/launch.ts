/**
 * `fractus bench launch [--json] [--pairs N] [--at-once N] [--image debian-12] [--sides cold,hand,warm,pool,resume]`: from RunInstances to the ssh banner and
 * to the end of the first ssh command: of a guest that boots, of the same image started by hand in QEMU the same way, and of a clone of a
 * warm template, made for the launch or waiting in the pool, in interleaved turns; and each step of a launch. "resume": from StartInstances
 * of a guest that hibernated. `--at-once`: so many by one call instead; `--script`: the README's lines instead, so many times. Needs root and
 * real guests.
 */
import { parseArgs } from "node:util"
import { launchAtOnce } from "./launch/at-once.ts"
import { type ImageKind, kinds } from "./launch/cloud.ts"
import { timeScripts } from "./launch/script.ts"
import { isSide, openSides, type Side, sides, type Turn } from "./launch/sides.ts"
import { openClosers } from "./report/closers.ts"
import { line, loadAverage, machineFacts, type Report, quantile, type Result, result } from "./report/result.ts"

const { values } = parseArgs({
  options: {
    json: { type: "boolean" },
    pairs: { type: "string", default: "20" },
    "at-once": { type: "string" },
    script: { type: "string" },
    image: { type: "string", default: "fractus-micro" },
    sides: { type: "string", default: sides.join() },
  },
})
const inWhole = (name: string, text: string) => {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > 1000) throw new Error(`--${name} is 1 to 1000`)
  return number
}
const pairs = inWhole("pairs", values.pairs)
const atOnce = values["at-once"] === undefined ? undefined : inWhole("at-once", values["at-once"])
const scripts = values.script === undefined ? undefined : inWhole("script", values.script)
const chosen = values.sides.split(",").filter(isSide)
if (chosen.join() !== values.sides || new Set(chosen).size < chosen.length)
  throw new Error(`--sides is some of ${sides.join()}`)

const kind = kinds.find((each) => each === values.image)
if (kind === undefined) throw new Error(`--image is ${kinds.join(" or ")}`)
const whole = kind === "debian-12"
if (whole && (chosen.includes("hand") || chosen.includes("resume") || atOnce !== undefined || scripts !== undefined))
  throw new Error("of debian-12 --sides are some of cold,warm,pool, without --at-once and --script")

const loadBefore = loadAverage()
const results = await measure()
const day = new Date().toISOString().slice(0, 10)
const what = whole ? "-debian-12" : atOnce !== undefined ? "-at-once" : scripts !== undefined ? "-script" : ""
const report: Report = { name: `launch${what}`, day, machine: machineFacts(loadBefore), results }
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else for (const each of results) console.log(line(each))

async function measure(): Promise<readonly Result[]> {
  if (atOnce !== undefined) return launchAtOnce(atOnce, chosen)
  if (scripts === undefined) return inTurns(await takeTurns(kind!))
  const closers = openClosers()
  return timeScripts(scripts, closers).finally(() => closers.close())
}

async function takeTurns(of: ImageKind): Promise<Readonly<Record<Side, readonly Turn[]>>> {
  const closers = openClosers()
  const turns: Record<Side, Turn[]> = { cold: [], hand: [], warm: [], pool: [], resume: [] }
  try {
    const open = await openSides(chosen, closers, of)
    for (let at = 0; at < pairs; at++) {
      // Each goes first in every other turn: what the first one warms, the second finds.
      for (const side of at % 2 === 0 ? chosen : chosen.toReversed()) turns[side].push(await open[side]())
      const said = chosen.map((side) => `${side} ${Math.round(turns[side].at(-1)?.bannerMs ?? 0)} ms`)
      console.error(`  turn ${at + 1} of ${pairs}: ${said.join(", ")}`)
    }
  } finally {
    await closers.close()
  }
  // No promise is kept by a yardstick that bends, as when addresses of the bench were the machine's own and ARP went unanswered.
  const byHand = banners(turns.hand)
  if (byHand.length > 0 && Math.max(...byHand) > 3 * Math.min(...byHand))
    throw new Error(`the guests by hand took ${byHand.map(Math.round).join(", ")} ms: too uneven to compare with`)
  return turns
}

function banners(turns: readonly Turn[]): readonly number[] {
  return turns.map(({ bannerMs }) => bannerMs)
}

function medianSteps(turns: readonly Turn[]): Readonly<Record<string, number>> {
  const names = [...new Set(turns.flatMap(({ steps }) => Object.keys(steps)))]
  return Object.fromEntries(
    names.map((name) => [
      name,
      quantile(
        turns.map(({ steps }) => steps[name] ?? 0),
        0.5,
      ),
    ]),
  )
}

/** What one in twenty exceeds. */
function slowest(of: readonly number[]): Result {
  const limit = 800
  const found = result("warm launch: RunInstances to ssh banner, 95th percentile", "ms", limit, of)
  return { ...found, value: found.p95, ok: found.p95 <= limit }
}

function inTurns({ cold, hand, warm, pool, resume }: Awaited<ReturnType<typeof takeTurns>>): readonly Result[] {
  const commands = (turns: readonly Turn[]) => turns.map(({ commandMs }) => commandMs)
  const ratios = cold.flatMap((turn, at) => (hand[at] ? [turn.bannerMs / hand[at].bannerMs] : []))
  const ofCold = warm.flatMap((turn, at) => (cold[at] ? [turn.bannerMs / cold[at].bannerMs] : []))
  const measured: readonly (readonly [
    string,
    string,
    number | null,
    readonly number[],
    Readonly<Record<string, number>>?,
  ])[] = [
    [
      "cold launch: RunInstances to ssh banner, against the same guest started by hand",
      "times",
      1.1,
      ratios,
      hand.length > 0 ? { byHandMedianMs: quantile(banners(hand), 0.5) } : {},
    ],
    ["cold launch: RunInstances to ssh banner", "ms", null, banners(cold), medianSteps(cold)],
    ["cold launch: RunInstances to the end of the first ssh command", "ms", null, commands(cold)],
    ["by hand: start of QEMU to the end of the first ssh command", "ms", null, commands(hand)],
    ["warm launch: RunInstances to ssh banner, against a cold one in turn", "times", null, ofCold],
    ["warm launch: RunInstances to ssh banner", "ms", whole ? 1200 : 600, banners(warm), medianSteps(warm)],
    ["warm launch: RunInstances to the end of the first ssh command", "ms", whole ? 4000 : 900, commands(warm)],
    ["launch from the pool: RunInstances to ssh banner", "ms", whole ? null : 200, banners(pool), medianSteps(pool)],
    [
      "launch from the pool: RunInstances to the end of the first ssh command",
      "ms",
      whole ? null : 450,
      commands(pool),
    ],
    ["hibernated guest of 1 GiB: StartInstances to ssh banner", "ms", 2000, banners(resume)],
  ]
  const medians = measured.flatMap(([promise, unit, limit, of, detail]) =>
    of.length > 0 ? [result(whole ? `${kind}, ${promise}` : promise, unit, limit, of, detail)] : [],
  )
  return warm.length > 0 && !whole ? [...medians, slowest(banners(warm))] : medians
}
