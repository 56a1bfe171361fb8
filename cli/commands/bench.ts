import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { Failure, program } from "../failure.ts"
import { inRepository, repository } from "../repository.ts"
import { runAttached } from "../run-attached.ts"
import { note, printJson } from "../terminal.ts"

const names = (): string[] =>
  readdirSync(inRepository("bench"), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .map((entry) => entry.name.slice(0, -".ts".length))
    .toSorted()

const inPairs = new Set(["launch", "network", "rules"])

const runForJson = (name: string): unknown => {
  const argv = [inRepository("bench", `${name}.ts`), "--json"]
  const done = spawnSync(process.execPath, argv, {
    cwd: repository,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  })
  if (done.status !== 0) throw new Failure(1, `the benchmark ${name} failed`, `${program} bench ${name}`)
  return JSON.parse(done.stdout)
}

export interface BenchOptions {
  readonly json?: boolean
  readonly pairs?: string
  /** Of `launch` alone, as `sides`. */
  readonly atOnce?: string
  readonly script?: string
  readonly sides?: string
  readonly image?: string
}

/** Those of `launch`, checked as far as they could break a command line; the benchmark knows the rest. */
const launchWords = (name: string | undefined, { atOnce, script, sides, image }: BenchOptions): string[] => {
  const given = { "--at-once": atOnce, "--script": script, "--sides": sides, "--image": image }
  const words = Object.entries(given).flatMap(([option, value]) => (value === undefined ? [] : [[option, value]]))
  if (words.length === 0) return []
  const isGood = ([option, value = ""]: readonly string[]) =>
    (option === "--sides" || option === "--image" ? /^[a-z][a-z0-9,-]*$/ : /^[1-9]\d{0,2}$/).test(value)
  if (name !== "launch" || !words.every(isGood)) {
    const rule =
      "--at-once and --script are 1 to 999, --sides some of cold,hand,warm,pool,resume, --image debian-12; all for launch alone"
    throw new Failure(2, rule, `${program} bench launch --at-once 25 --sides warm`)
  }
  return words.flat()
}

/** `fractus bench [NAME]`: one benchmark of bench/, or all in turn. --json reaches it; all together are one object by name. */
export const bench = async (name: string | undefined, options: BenchOptions): Promise<void> => {
  const known = existsSync(inRepository("bench")) ? names() : []
  if (name !== undefined && !known.includes(name)) {
    throw new Failure(
      2,
      `there is no benchmark ${name}; there are: ${known.join(", ") || "none yet"}`,
      `${program} bench`,
    )
  }
  const { pairs } = options
  const forLaunch = launchWords(name, options)
  if (pairs !== undefined && !(name !== undefined && inPairs.has(name) && /^[1-9]\d{0,2}$/.test(pairs))) {
    throw new Failure(2, `--pairs is 1 to 999, for ${[...inPairs].join(" or ")}`, `${program} bench launch --pairs 15`)
  }
  if (known.length === 0) throw new Failure(2, "not yet: this release has no benchmarks", `${program} --help`)
  if (name === undefined && options.json === true) {
    return printJson(Object.fromEntries(known.map((each) => [each, runForJson(each)])))
  }
  for (const each of name === undefined ? known : [name]) {
    if (name === undefined) note(`\n${each}`)
    const more = [
      ...(options.json === true ? ["--json"] : []),
      ...(pairs === undefined ? [] : ["--pairs", pairs]),
      ...forLaunch,
    ]
    await runAttached(process.execPath, [inRepository("bench", `${each}.ts`), ...more], { cwd: repository })
    if (process.exitCode !== 0 && process.exitCode !== undefined) return
  }
}
