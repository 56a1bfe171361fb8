/**
 * `fractus bench try [--json]`: how long `fractus try -- true` takes on a simulated cloud, from exec to exit, fifty times in a row, and
 * that nothing is left of them. Progress goes to stderr, the report to stdout.
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { tryFolder } from "#cli/try/home.ts"
import { line, loadAverage, machineFacts, type Report, type Result, result } from "./report/result.ts"

const times = 50
const limitS = 0.7
const root = new URL("../", import.meta.url).pathname

/** Processes that carry the mark in their environment, as all of ours do. */
const processesOf = (mark: string): number =>
  readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, "latin1").includes(mark)
    } catch {
      return false // it ended meanwhile
    }
  }).length

/** Seconds of processor time that our children and theirs have used. */
const childrenCpuS = (): number => {
  const stat = readFileSync("/proc/self/stat", "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[13]) + Number(fields[14])) / 100
}

async function measure(): Promise<Result> {
  const mark = `FRACTUS_BENCH=${process.pid}-${Date.now()}`
  const [name = "", value] = mark.split("=")
  const env = { ...process.env, [name]: value }
  const pids = new Set<string>()
  const argv = ["try", "--", "true"]
  spawnSync(join(root, "fractus"), argv, { env }) // compiles, where nothing was yet
  const timesS: number[] = []
  const cpuBeforeS = childrenCpuS()
  for (let at = 0; at < times; at++) {
    const startMs = performance.now()
    const child = spawn(join(root, "fractus"), argv, { env, stdio: ["ignore", "ignore", "inherit"] })
    pids.add(`${child.pid}`)
    const [code] = await once(child, "exit")
    timesS.push((performance.now() - startMs) / 1000)
    if (code !== 0) throw new Error(`fractus try ended with ${code}`)
  }
  const cpuS = (childrenCpuS() - cpuBeforeS) / times
  // fractus-try-<namespace>-<pid>-...
  const homes = readdirSync(tryFolder("sim")).filter((entry) => pids.has(entry.split("-")[3] ?? "")).length
  const processes = processesOf(mark)
  if (homes + processes > 0) throw new Error(`${times} runs left ${homes} homes and ${processes} processes`)
  return result("fractus try: a command against a cloud of its own, from exec to exit", "s", limitS, timesS, { cpuS })
}

const { values } = parseArgs({ options: { json: { type: "boolean" } } })
const loadBefore = loadAverage()
console.error(`  ${times} times fractus try ...`)
const results = [await measure()]
const day = new Date().toISOString().slice(0, 10)
const report: Report = { name: "try", day, machine: machineFacts(loadBefore), results }
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else for (const each of results) console.log(line(each))
