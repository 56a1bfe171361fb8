/** The AWS CLIs and the boto3 of this machine: which they are, and whether they know every member of today's answers. */
import { spawnSync } from "node:child_process"
import { existsSync, realpathSync } from "node:fs"
import { findPython } from "../python.ts"

export interface Installed {
  /** How it is started: "aws", "/usr/bin/aws", "python3". */
  readonly program: string
  readonly version: string
  /** Older ones, as distributions have them, leave members out that came later. */
  readonly complete: boolean
}

/** The first releases that know every member of the scenario's answers: by major version of the CLI, and of boto3. */
const completeCli: Readonly<Record<string, number>> = { "1": 43, "2": 32 }
const completeBoto3: Readonly<Record<string, number>> = { "1": 41 }

function isComplete(version: string, first: Readonly<Record<string, number>>): boolean {
  const [major = "", minor = ""] = version.split(".")
  return Number(minor) >= (first[major] ?? 0)
}

/** The first `aws` on PATH and the system's, where that is another one. */
export function commandLines(): readonly Installed[] {
  const found = spawnSync("sh", ["-c", "command -v aws"], { encoding: "utf8" }).stdout.trim()
  const system = "/usr/bin/aws"
  const same = found !== "" && existsSync(system) && realpathSync(found) === realpathSync(system)
  return (same ? ["aws"] : ["aws", system]).flatMap((program) => {
    const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8", timeout: 30_000 })
    const version = status === 0 ? /^aws-cli\/(\S+)/.exec(stdout)?.[1] : undefined
    return version === undefined ? [] : [{ program, version, complete: isComplete(version, completeCli) }]
  })
}

/** A Python with boto3, or undefined. */
export function boto3(): Installed | undefined {
  const program = findPython("boto3")
  if (program === undefined) return undefined
  const script = "import boto3; print(boto3.__version__)"
  const version = spawnSync(program, ["-c", script], { encoding: "utf8", timeout: 30_000 }).stdout.trim()
  return { program, version, complete: isComplete(version, completeBoto3) }
}
