import { callJson } from "../daemon/api.ts"
import { requireCredentials, requireDaemon } from "../daemon/require.ts"
import { Failure, program } from "../failure.ts"
import { existingHome } from "../home.ts"
import { coloured, print, printJson } from "../terminal.ts"

type Entry = {
  atMs: number
  generation: number
  level: "wish" | "pass" | "step" | "call" | "command" | "observed"
  what: string
  ms: number
  error?: string
}
type Call = {
  atMs: number
  operation: string
  requestId: string
  caller: string
  version: number | null
  generation: number | null
}
/** Minutes of one CPU; shares in hundredths of a CPU. */
type Credits = {
  earned: number
  given: number
  surplus: number
  charged: number
  spent: number
  baselinePercent: number
  limitPercent: number
  enforced: boolean
}
type Trace = {
  known: boolean
  generation: number
  wished?: string
  observed?: string
  trouble?: { code: string; message: string; final: boolean }
  credits?: Credits
  waitsFor?: string
  failures: number
  settled: boolean
  entries: Entry[]
  dropped: number
}
export type Chain = {
  resource: string
  kind: string | null
  account: string | null
  region: string | null
  version: number | null
  state: string | null
  calls: Call[]
  states: { atMs: number; state: string }[]
  host: Trace | null
}
/** GET /_fractus/why. Schema: docs/reference/cli/why.schema.json. */
export type Why = Chain & { needs: Chain[] }

/** `fractus why ID`: from the call to each command on the host, and what it waits for now. */
export const why = async (resource: string, options: { home?: string; json?: boolean }): Promise<void> => {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(resource)) {
    throw new Failure(2, `${resource} is not an id`, `${program} status`)
  }
  const home = existingHome(options.home)
  const { endpoint } = requireDaemon(home)
  const token = requireCredentials(home).controlToken
  const answer = await callJson<Why>(endpoint, "GET", `/_fractus/why?resource=${resource}`, { token })
  if (options.json === true) return printJson(answer)
  print(present(answer).join("\n"))
  const chains = [answer, ...answer.needs]
  const lines = chains.flatMap((chain) => timeline(chain)).toSorted((a, b) => a.atMs - b.atMs || a.order - b.order)
  for (const { text } of lines) print(text)
  const dropped = answer.host?.dropped ?? 0
  if (dropped > 0) print(coloured("dim", `${dropped} older entries were not kept`))
}

const present = ({ resource, kind, account, region, version, state, host }: Why): string[] => {
  const stored = kind === null ? "not in the store" : `${kind} of ${account} in ${region}, version ${version}`
  const lines = [`${coloured("bold", resource)}  ${stored}${state === null ? "" : `, ${state}`}`]
  if (host === null) return [...lines, "  the host does not tell"]
  if (!host.known) return [...lines, "  the host has nothing to do for it"]
  lines.push(`  wished    ${host.wished ?? "-"} (generation ${host.generation})`)
  lines.push(`  observed  ${host.observed ?? "nothing yet"}`)
  if (host.trouble) {
    const { code, message, final } = host.trouble
    lines.push(coloured("red", `  trouble   ${code}: ${message}${final ? " (a new wish alone ends it)" : ""}`))
  }
  if (host.credits) lines.push(`  credits   ${creditWords(host.credits)}`)
  if (host.waitsFor !== undefined) lines.push(coloured("yellow", `  waits for ${host.waitsFor}`))
  if (host.failures > 0) lines.push(`  failed    ${host.failures} times in a row; tried again by itself`)
  if (host.settled) lines.push("  nothing is left to do")
  return lines
}

const creditWords = ({ earned, given, surplus, charged, baselinePercent, limitPercent, enforced }: Credits): string => {
  const balance = `${(earned + given).toFixed(2)} of CPU, ${surplus.toFixed(2)} in surplus, ${charged.toFixed(2)} charged`
  const limit = enforced
    ? `at most ${limitPercent.toFixed(0)} % of a CPU now`
    : "not enforced: no control group of CPU here"
  return `${balance}; ${limit}, earns ${baselinePercent.toFixed(0)} %`
}

type Line = { atMs: number; order: number; text: string }

const indent = { wish: 1, pass: 1, step: 2, call: 3, command: 4, observed: 1 } as const

const timeline = ({ resource, calls, states, host }: Chain): Line[] => [
  ...calls.map((call) => {
    const { operation, requestId, caller, version, generation } = call
    const numbers = `version ${version ?? "-"}, generation ${generation ?? "-"}`
    const text = `${operation} ${resource}: ${numbers}, request ${requestId}, by ${caller}`
    return { atMs: call.atMs, order: 0, text: `${time(call.atMs)} ${coloured("bold", text)}` }
  }),
  ...states.map(({ atMs, state }) => ({ atMs, order: 9, text: `${time(atMs)} ${resource} is ${state}` })),
  ...(host?.entries ?? []).map(({ atMs, level, what, ms, error, generation }) => {
    const took = level === "wish" || level === "observed" ? "" : ` ${ms} ms`
    const about = indent[level] === 1 ? ` ${resource} (generation ${generation})` : ""
    const why = error === undefined ? "" : ` ${coloured("red", `failed: ${error}`)}`
    const text = `${time(atMs)} ${"  ".repeat(indent[level])}${level}${about}: ${what}${took}${why}`
    return { atMs, order: indent[level], text }
  }),
]

const time = (atMs: number): string => new Date(atMs).toISOString().slice(11, 23)
