/**
 * `fractus bench api [--json]`: CPU, times and memory of the API on a simulated cloud. Progress goes to stderr, the report to stdout.
 * `node bench/api.ts --only compare,rate,start,crowd,reset` runs parts of it.
 */
import { parseArgs } from "node:util"
import { compareAll } from "./api/compare.ts"
import { measureCrowd } from "./api/crowd.ts"
import { measureRate } from "./api/rate.ts"
import { measureReset } from "./api/reset.ts"
import { measureStart } from "./api/start.ts"
import { line, loadAverage, machineFacts, type Report, type Result } from "./report/result.ts"

const parts = { compare: compareAll, rate: measureRate, start: measureStart, crowd: measureCrowd, reset: measureReset }

const { values } = parseArgs({ options: { json: { type: "boolean" }, only: { type: "string" } } })
const only = values.only?.split(",") ?? Object.keys(parts)
const loadBefore = loadAverage()
const note = (text: string): void => console.error(`  ${text} ...`)
const results: Result[] = []
for (const [name, measure] of Object.entries(parts)) if (only.includes(name)) results.push(...(await measure(note)))
const day = new Date().toISOString().slice(0, 10)
const report: Report = { name: "api", day, machine: machineFacts(loadBefore), results }

if (values.json === true) console.log(JSON.stringify(report, null, 2))
else for (const each of results) console.log(line(each))
