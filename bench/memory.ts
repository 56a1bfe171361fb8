/**
 * `fractus bench memory [--json]`: resident memory of the processes of a cloud with real guests, each time on a fresh home: ten idle
 * seconds after its first start, and after three guests ran and ended. Needs root and real guests.
 */
import { setTimeout as pause } from "node:timers/promises"
import { parseArgs } from "node:util"
import { ownResidentMiB } from "./api/processes.ts"
import { openCloud, type RealCloud } from "./launch/cloud.ts"
import { openClosers } from "./report/closers.ts"
import { line, loadAverage, machineFacts, type Report, result } from "./report/result.ts"

const { values } = parseArgs({ options: { json: { type: "boolean" } } })
const rounds = 3
const guests = 3
const idleMs = 10_000

const limits = [
  { name: "fractus-api", words: "the API process", limitMiB: 130 },
  { name: "fractus-host", words: "the host process", limitMiB: 70 },
  { name: "guest-services", words: "guest-services", limitMiB: 70 },
]
const moments = ["idle for 10 s after its first start", `idle for 10 s after ${guests} guests ran`] as const

const measured = new Map<string, number[]>()
const loadBefore = loadAverage()
const closers = openClosers()
try {
  for (let round = 0; round < rounds; round++) {
    console.error(`  round ${round + 1} of ${rounds} ...`)
    const cloud = await openCloud()
    closers.add(() => cloud.close())
    await idle(cloud, moments[0])
    const launched = await Promise.all(Array.from({ length: guests }, () => cloud.launch()))
    for (const { id } of launched) await cloud.terminate(id)
    await idle(cloud, moments[1])
    await cloud.close()
  }
} finally {
  await closers.close()
}

async function idle(cloud: RealCloud, moment: string): Promise<void> {
  await pause(idleMs)
  const pids = await cloud.processes()
  for (const { name, words } of limits) {
    const pid = pids.get(name)
    if (pid === undefined) throw new Error(`the cloud has no process ${name}`)
    const promise = `Memory of ${words} on qemu, ${moment}`
    measured.set(promise, [...(measured.get(promise) ?? []), ownResidentMiB(pid)])
  }
}

const results = limits.flatMap(({ words, limitMiB }) =>
  moments.map((moment) => {
    const promise = `Memory of ${words} on qemu, ${moment}`
    return result(promise, "MiB", limitMiB, measured.get(promise) ?? [])
  }),
)
const day = new Date().toISOString().slice(0, 10)
const report: Report = { name: "memory", day, machine: machineFacts(loadBefore), results }
if (values.json === true) console.log(JSON.stringify(report, null, 2))
else for (const each of results) console.log(line(each))
