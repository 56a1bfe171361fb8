import { spawn } from "node:child_process"
import { performance } from "node:perf_hooks"
import { shortened, timed } from "#lib/trace.ts"

/** Most that a command of ours may print; beyond it something is wrong and the command is ended. */
const outputLimitBytes = 16 * 1024 * 1024

export interface CommandOptions {
  readonly input?: string
  /** Default 10 s. */
  readonly deadlineMs?: number
}

/**
 * Run a program without a shell and give what it printed. Throws an Error with the command line, its exit and the end of
 * its stderr when it fails, prints too much or passes its deadline (then it is killed).
 */
export function run(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  // Of a batch, its lines say what was done; an nft transaction is long and shown by `nft list`.
  const input = (options.input ?? "").split("\n").filter(Boolean)
  const words = () => shortened([...argv, ...(argv.includes("-batch") ? [":", input.join("; ")] : [])])
  return timed("command", words, () => execute(argv, options))
}

function execute(argv: readonly string[], options: CommandOptions): Promise<string> {
  const [program = "", ...args] = argv
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const started = performance.now()
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: { PATH: path(), LC_ALL: "C" } })
  let stdout = ""
  let stderr = ""
  let why: string | undefined
  const end = (reason: string) => {
    why ??= reason
    child.kill("SIGKILL")
  }
  const timer = setTimeout(() => end("passed its deadline"), options.deadlineMs ?? 10_000)
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk
    if (stdout.length > outputLimitBytes) end("printed too much")
  })
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr = (stderr + chunk).slice(-4000)
  })
  child.on("error", (error) => {
    clearTimeout(timer)
    reject(new Error(`${argv.join(" ")}: ${error.message}`, { cause: error }))
  })
  child.on("close", (code, signal) => {
    clearTimeout(timer)
    if (code === 0 && why === undefined) return resolve(stdout)
    const took = Math.round(performance.now() - started)
    reject(new Error(`${argv.join(" ")}: ${why ?? `exit ${code ?? signal}`} after ${took} ms: ${stderr.trim()}`))
  })
  // The program may end before it has read everything: its exit says why, not EPIPE.
  child.stdin.on("error", () => {})
  child.stdin.end(options.input ?? "")
  return promise
}

export const path = () => `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin`
