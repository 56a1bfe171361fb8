/**
 * `fractus bench network [--json] [--pairs N]`: TCP between two namespaces through one of our networks, against the same kernel path
 * (veth, router namespace, veth) with connection tracking and none of our rules. Needs root and iperf3.
 */
import { parseArgs } from "node:util"
import { group, network, openLab, port, everything } from "#engine/network/linux/lab.ts"
import { openBarePath } from "./network/bare-path.ts"
import { startServer, throughput } from "./network/iperf.ts"
import { openClosers } from "./report/closers.ts"
import { line, loadAverage, machineFacts, type Report, quantile, result } from "./report/result.ts"

const { values } = parseArgs({ options: { json: { type: "boolean" }, pairs: { type: "string", default: "15" } } })
const pairs = Number(values.pairs)
if (!Number.isInteger(pairs) || pairs < 1 || pairs > 1000) throw new Error("--pairs is 1 to 1000")
const seconds = 2

const loadBefore = loadAverage()
const closers = openClosers()
const ours: number[] = []
const bare: number[] = []
try {
  const lab = await openLab()
  closers.add(() => lab.close())
  await lab.engine.up()
  const spec = network(1, [group("sg-bench", [everything])], [port(1, ["sg-bench"]), port(2, ["sg-bench"])])
  await lab.bring(spec)
  const path = await openBarePath(`${lab.prefix}-b`)
  closers.add(() => path.close())
  const through = { client: lab.guest(1), server: lab.guest(2), address: port(2, []).address }
  for (const { server, address } of [through, path]) {
    const running = await startServer(server, address)
    closers.add(() => running.close())
  }
  // Once each before anything counts.
  for (const each of [through, path]) await throughput(each, 1)
  for (let at = 0; at < pairs; at++) {
    if (values.json !== true) console.error(`  pair ${at + 1} of ${pairs} ...`)
    // Each goes first in every other pair: what the first one warms, the second finds.
    const order = at % 2 === 0 ? ([true, false] as const) : ([false, true] as const)
    for (const own of order) (own ? ours : bare).push(await throughput(own ? through : path, seconds))
  }
} finally {
  await closers.close()
}

const times = ours.map((mine, at) => (bare[at] ?? Number.NaN) / mine)
const median = (all: readonly number[]) => quantile(all, 0.5)
const measured = result(
  "TCP between two guests' namespaces: time against the same kernel path with connection tracking alone",
  "times",
  1.111,
  times,
  { throughputPart: 1 / median(times), oursGbitPerS: median(ours) / 1e9, bareGbitPerS: median(bare) / 1e9 },
)
const day = new Date().toISOString().slice(0, 10)
const report: Report = { name: "network", day, machine: machineFacts(loadBefore), results: [measured] }
console.log(values.json === true ? JSON.stringify(report, null, 2) : line(measured))
