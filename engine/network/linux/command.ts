import { performance } from "node:perf_hooks"
import { shortened, timed } from "#lib/trace.ts"
import { openShells, type Shells } from "./shells.ts"

/** Most that a command of ours may print; beyond it something is wrong and the command is ended. */
const outputLimitBytes = 16 * 1024 * 1024

export interface CommandOptions {
  readonly input?: string
  /** Default 10 s. */
  readonly deadlineMs?: number
}

/**
 * Run a program and give what it printed. Throws an Error with the command line, its exit and the end of
 * its stderr when it fails, prints too much or passes its deadline (then it is killed).
 */
export function run(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  // Of a batch, its lines say what was done; an nft transaction is long and shown by `nft list`.
  const input = (options.input ?? "").split("\n").filter(Boolean)
  const words = () => shortened([...argv, ...(argv.includes("-batch") ? [":", input.join("; ")] : [])])
  return timed("command", words, () => execute(argv, options))
}

async function execute(argv: readonly string[], { input = "", deadlineMs = 10_000 }: CommandOptions): Promise<string> {
  const started = performance.now()
  const failed = (why: string, said = "") =>
    new Error(`${argv.join(" ")}: ${why} after ${Math.round(performance.now() - started)} ms: ${said.trim()}`)
  const { code, stdout, stderr } = await shells()
    .run(argv, input, deadlineMs, outputLimitBytes)
    .catch((error: Error) => {
      throw failed(error.message)
    })
  if (code !== 0) throw failed(`exit ${code}`, stderr)
  return stdout
}

let opened: Shells | undefined
const shells = () => (opened ??= openShells({ PATH: path(), LC_ALL: "C" }))

export const path = () => `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin`
