/**
 * `fractus bench try [--json]`: how long `fractus try -- true` takes on a simulated cloud, from exec to exit, fifty times in a row, and
 * that nothing is left of them. Progress goes to stderr, the report to stdout.
 */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { line, loadAverage, machineFacts, type Report, type Result, result } from "./report/result.ts"

const times = 50
const limitS = 0.7
const root = new URL("../", import.meta.url).pathname

/** Processes that name the folder in their environment, as all of ours do by TMPDIR. */
const processesOf = (folder: string): number =>
  readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, "latin1").includes(folder)
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

async function measure(folder: string): Promise<Result> {
  const env = { ...process.env, TMPDIR: folder }
  const argv = ["try", "--", "true"]
  spawnSync(join(root, "fractus"), argv, { env }) // compiles, where nothing was yet
  const timesS: number[] = []
  const cpuBeforeS = childrenCpuS()
  for (let at = 0; at < times; at++) {
    const startMs = performance.now()
    const child = spawn(join(root, "fractus"), argv, { env, stdio: ["ignore", "ignore", "inherit"] })
    const [code] = await once(child, "exit")
    timesS.push((performance.now() - startMs) / 1000)
    if (code !== 0) throw new Error(`fractus try ended with ${code}`)
  }
  const cpuS = (childrenCpuS() - cpuBeforeS) / times
  const [homes, processes] = [readdirSync(folder).length, processesOf(folder)]
  if (homes + processes > 0) throw new Error(`${times} runs left ${homes} files and ${processes} processes`)
  return result("fractus try: a command against a cloud of its own, from exec to exit", "s", limitS, timesS, { cpuS })
}

const { values } = parseArgs({ options: { json: { type: "boolean" } } })
const loadBefore = loadAverage()
const folder = mkdtempSync(join(tmpdir(), "fractus-bench-try-"))
try {
  console.error(`  ${times} times fractus try ...`)
  const results = [await measure(folder)]
  const day = new Date().toISOString().slice(0, 10)
  const report: Report = { name: "try", day, machine: machineFacts(loadBefore), results }
  if (values.json === true) console.log(JSON.stringify(report, null, 2))
  else for (const each of results) console.log(line(each))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
