/** Sends many requests to a process and holds every answer to what every answer has to be. */
import { readFileSync } from "node:fs"
import { decodeCbor } from "#wire/protocols/cbor.ts"
import { type Client, type RawAnswer, readAnswer } from "./client.ts"
import type { Shot } from "./speakers.ts"
import { findAll, parseXml, textAt } from "./xml.ts"

export interface Target {
  readonly client: Client
  /** Of the process whose main thread answers. */
  readonly pid: number
  /** What it said of itself. */
  readonly log: () => string
}

const atOnce = 8
/** What one answer may cost. */
const mostCpuMs = 100
const tries = 5

/** The code of each answer, "" for what was served. Throws, with the request, for what no answer may be. */
export async function drive(shots: readonly Shot[], target: Target): Promise<readonly string[]> {
  const codes: string[] = []
  const slow: Shot[] = []
  const left = [...shots.entries()].toReversed()
  const runner = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const [index, shot] = next
      const before = cpuMs(target.pid)
      codes[index] = await fire(shot, target)
      // What others cost meanwhile is in it too, so that it can only be too much.
      if (cpuMs(target.pid) - before > mostCpuMs) slow.push(shot)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, runner))
  for (const shot of slow) await holdToCpu(shot, target)
  return codes
}

/** Alone, and the least of a few times: what a busy machine, a first call or a collection of garbage adds is no fault of the request. */
async function holdToCpu(shot: Shot, target: Target): Promise<void> {
  const seen: number[] = []
  for (let turn = 0; turn < tries; turn++) {
    const before = cpuMs(target.pid)
    await fire(shot, target)
    const costMs = cpuMs(target.pid) - before
    if (costMs <= mostCpuMs) return
    seen.push(Math.round(costMs))
  }
  throw new Error(`${seen.join(", ")} ms of CPU for one answer: ${shown(shot)}`)
}

/** CPU time of a process's main thread, where everything of an answer is done but the commit. */
function cpuMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ", 1)[0]) / 1e6
}

/** One request; the code of its answer. */
export async function fire(shot: Shot, { client, log }: Target): Promise<string> {
  try {
    const answer = await client.send(shot.raw)
    const code = codeOf(answer, shot)
    const isNotDone =
      answer.status === 501 && (code === "NotImplemented" || shot.raw.method === "HEAD") && shot.protocol === "restXml"
    if (answer.status >= 500 && !isNotDone) throw new Error(`${answer.status}: ${answer.body}`)
    return code
  } catch (error) {
    throw new Error(`${shot.label}: ${String(error)}\n${shown(shot)}\n${log().slice(-4000)}`, { cause: error })
  }
}

function shown({ raw }: Shot): string {
  const { method = "POST", path = "/", headers, body = "" } = raw
  const text = Buffer.isBuffer(body) ? `base64 ${body.toString("base64")}` : body
  return `${method} ${path.slice(0, 4000)} ${JSON.stringify(headers)}\n${text.slice(0, 20_000)}`
}

/** The error's code, "" for none. Throws when the answer is in no protocol's form, or has no request id. */
function codeOf(answer: RawAnswer, { raw }: Shot): string {
  const { status, headers, bytes } = answer
  const type = String(headers["content-type"] ?? "")
  if (headers["x-amzn-requestid"] === undefined && headers["x-amz-request-id"] === undefined)
    throw new Error(`no request id: ${status} ${answer.body}`)
  if (raw.method === "HEAD" || status === 304) return status < 400 ? "" : `HEAD ${status}`
  const isError = status >= 300
  // An operation without an output.
  if (type === "" && !isError && bytes.length === 0) return ""
  if (type.startsWith("application/cbor")) return checked(isError, memberOf(decodeCbor(bytes), "__type"))
  if (/^application\/(x-amz-)?json/.test(type)) {
    const code = memberOf(JSON.parse(answer.body), "__type") ?? headers["x-amzn-errortype"]
    return checked(isError, code)
  }
  if (type.startsWith("text/xml")) return readAnswer(answer).code
  if (!isError) return ""
  const xml = parseXml(answer.body)
  const error = xml.name === "Error" ? xml : findAll(xml, "Error")[0]
  return checked(isError, error && textAt(error, "Code"))
}

function checked(isError: boolean, code: unknown): string {
  const said = typeof code === "string" ? code : ""
  if (isError !== (said !== "")) throw new Error(`an error without a code, or a code without an error: ${said}`)
  return said
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined
}

/** Resident memory of a process, now and at most. */
export function memoryMiB(pid: number): { readonly nowMiB: number; readonly peakMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, "latin1")
  const read = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024
  return { nowMiB: read("VmRSS"), peakMiB: read("VmHWM") }
}

/** How many of what, the most first. */
export function tally(codes: readonly string[]): string {
  const counts = [...Map.groupBy(codes, (code) => code)].map(([code, all]) => [code || "ok", all.length] as const)
  return counts
    .toSorted((a, b) => b[1] - a[1])
    .map((pair) => pair.join(" "))
    .join(", ")
}
