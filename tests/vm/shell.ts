/** Runs lines of shell as a person would, in a folder and a home of their own. */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { freePort } from "#cli/ports.ts"
import { root } from "../style/tree.ts"

export interface Place {
  readonly directory: string
  readonly home: string
  readonly port: number
}

/** A folder and a home that are gone after the test, with whatever the home left running. */
export async function scratch(t: TestContext): Promise<Place> {
  const directory = mkdtempSync(join(tmpdir(), "fractus-vm-"))
  const home = join(directory, "home")
  t.after(() => {
    if (existsSync(join(home, "config.json")))
      spawnSync(join(root, "fractus"), ["down", "--home", home], { stdio: "ignore", timeout: 90_000 })
    rmSync(directory, { recursive: true, force: true })
  })
  return { directory, home, port: await freePort() }
}

/** Whether the `aws` on PATH knows AWS_ENDPOINT_URL: v1 from 1.29, v2 from 2.13. */
export function awsKnowsEndpoint(): boolean {
  const { stdout, stderr } = spawnSync("aws", ["--version"], { encoding: "utf8", timeout: 30_000 })
  const [, major, minor] = /^aws-cli\/(\d+)\.(\d+)/.exec(`${stdout}${stderr}`) ?? []
  return Number(minor) >= (major === "1" ? 29 : 13)
}

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const deadlineMs = 240_000

/** Runs a script with bash, for at most `limitMs` (four minutes). The home is the script's FRACTUS_HOME, and its AWS files are in the scratch folder. */
export function bash(
  script: string,
  place: Place,
  env: Readonly<Record<string, string>> = {},
  limitMs = deadlineMs,
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn("bash", ["-c", script], {
      cwd: place.directory,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: place.directory,
        FRACTUS_HOME: place.home,
        FRACTUS_IMAGES: "first",
        AWS_CONFIG_FILE: join(place.directory, "aws-config"),
        AWS_SHARED_CREDENTIALS_FILE: join(place.directory, "aws-credentials"),
        AWS_PAGER: "",
        ...pyenv(),
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMs,
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => (stdout += String(chunk)))
    child.stderr.on("data", (chunk) => (stderr += String(chunk)))
    child.once("error", reject)
    child.once("close", (status) => resolve({ status, stdout, stderr }))
  })
}

/** A Python chosen by pyenv finds itself by these. */
function pyenv(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[0].startsWith("PYENV") && entry[1] !== undefined,
    ),
  )
}
