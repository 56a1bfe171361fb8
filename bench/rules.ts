/**
 * `fractus bench rules [--json] [--pairs N]`: a network of 500 interfaces, and a rule that comes to the group of all of them and goes:
 * from the call of the engine until a connection is answered that was not before, and until none is any more. Beside it the same
 * change by a bare `nft -f`. Needs root.
 */
import { once } from "node:events"
import { setTimeout as pause } from "node:timers/promises"
import { parseArgs } from "node:util"
import { group, network, openLab, port, tcp } from "#engine/network/linux/lab.ts"
import { nft } from "#engine/network/linux/namespaces.ts"
import { openClosers } from "./report/closers.ts"
import { line, loadAverage, machineFacts, type Report, quantile, result } from "./report/result.ts"

const { values } = parseArgs({ options: { json: { type: "boolean" }, pairs: { type: "string", default: "15" } } })
const pairs = Number(values.pairs)
if (!Number.isInteger(pairs) || pairs < 1 || pairs > 1000) throw new Error("--pairs is 1 to 1000")
const interfaces = 500
const limitMs = 20
const served = 9000
/** As long as it takes the prober to be on its way. */
const beforeMs = 100

const nowMs = () => Number(process.hrtime.bigint()) / 1e6
const ports = Array.from({ length: interfaces }, (_, index) => {
  const number = index + 1
  const [high, low] = [1 + (number >> 8), number & 255]
  const bytes = [number >> 8, low].map((byte) => byte.toString(16).padStart(2, "0"))
  return port(number, ["sg-bench"], {
    mac: `02:00:00:00:${bytes.join(":")}`,
    address: `172.31.${high}.${low}`,
    hostName: `ip-172-31-${high}-${low}`,
  })
})
const [, server] = ports
const shut = network(1, [group("sg-bench", [])], ports)
const open = network(1, [group("sg-bench", [tcp(served, { cidrs: ["172.31.0.0/16"] })])], ports)
const bare = {
  open: `add rule inet fractus to-sg-bench tcp dport ${served}-${served} ip saddr 172.31.0.0/16 accept\n`,
  shut: "flush chain inet fractus to-sg-bench\n",
}

type Way = "open" | "shut"
const ways = ["open", "shut"] as const
const ours: Record<Way, number[]> = { open: [], shut: [] }
const byHand: Record<Way, number[]> = { open: [], shut: [] }
const returned: number[] = []
const loadBefore = loadAverage()
const closers = openClosers()
try {
  const lab = await openLab()
  closers.add(() => lab.close())
  await lab.engine.up()
  console.error(`  bringing up ${interfaces} interfaces ...`)
  await lab.bring(shut)
  await lab.serve(lab.guest(2), served)
  const script = new URL("rules/prober.ts", import.meta.url).pathname
  const prober = lab.background(lab.guest(1), process.execPath, script, server?.address ?? "", String(served))
  /** Milliseconds from the start of `change` until the prober sees it. */
  const inForce = async (way: Way, change: () => Promise<unknown>): Promise<number> => {
    const answer = once(prober.stdout, "data", { signal: AbortSignal.timeout(20_000) })
    prober.stdin.write(`${way}\n`)
    await pause(beforeMs)
    const startMs = nowMs()
    await change()
    if (change === engines[way]) returned.push(nowMs() - startMs)
    const [text]: Buffer[] = await answer
    const tookMs = Number(text) - startMs
    if (!(tookMs > 0))
      throw new Error(`the prober said ${String(text).trim()} to ${way}, ${tookMs} ms after the change`)
    return tookMs
  }
  const namespace = `${lab.prefix}-n1`
  const engines = { open: () => lab.engine.ensureNetwork(open), shut: () => lab.engine.ensureNetwork(shut) }
  const hands = { open: () => nft(namespace, bare.open), shut: () => nft(namespace, bare.shut) }
  // Once each before anything counts.
  for (const way of ways) await inForce(way, engines[way])
  returned.length = 0
  for (let at = 0; at < pairs; at++) {
    for (const way of ways) ours[way].push(await inForce(way, engines[way]))
    for (const way of ways) byHand[way].push(await inForce(way, hands[way]))
  }
} finally {
  await closers.close()
}

const median = (all: readonly number[]) => quantile(all, 0.5)
const words = { open: "a rule added", shut: "a rule revoked" }
const results = ways.map((way) =>
  result(`A firewall change in force, with ${interfaces} interfaces: ${words[way]}`, "ms", limitMs, ours[way], {
    bareNftMs: median(byHand[way]),
    callReturnedMs: median(returned),
  }),
)
const day = new Date().toISOString().slice(0, 10)
const report: Report = { name: "rules", day, machine: machineFacts(loadBefore), results }
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else for (const each of results) console.log(line(each))
