/**
 * A clone that waits is logged in to once, as nobody: what that runs is translated then (QEMU's TCG), and the machine that takes the clone over
 * answers in a tenth of the time. It has an identity for as long as that takes, which it forgets: images/agent.
 */
import { execFile, spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { promisify } from "node:util"
import type { Clock } from "#lib/clock.ts"
import type { Agent } from "./agent.ts"
import { nobody } from "./make.ts"

const run = promisify(execFile)
/** An emulated machine that has never done it, on a busy host. */
const loginMs = 30_000
/** https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html */
const metadata = "169.254.169.254"
/** Of the images whose agent can rehearse. */
const loginUser = "ec2-user"

export interface Rehearsal {
  readonly agent: Agent
  readonly clock: Pick<Clock, "wallMs">
  readonly agentMs: number
  /** Where the tap stands, and nothing else does. */
  readonly namespace: string
  readonly device: string
  readonly uuid: string
  readonly mac: string
  /** For a key that lets in to machines that are nobody; the superuser's alone. */
  readonly keyFolder: string
  /** Ends it early. */
  readonly signal: AbortSignal
}

/** Throws when the guest cannot, or this host has no ssh: the clone is of no use then. */
export async function rehearse(rehearsal: Rehearsal): Promise<void> {
  const { agent, clock, agentMs, namespace, device, uuid, mac, keyFolder, signal } = rehearsal
  const key = await keyIn(keyFolder)
  const authorizedKey = readFileSync(`${key}.pub`, "utf8").trim()
  await agent.rehearse({ ...nobody, authorizedKey, instance: "nobody", uuid, mac }, clock, agentMs)
  const { gateway, address } = nobody
  const ip = (...words: readonly string[]) => run("ip", ["-n", namespace, ...words], { timeout: 10_000 })
  await ip("link", "set", device, "up")
  await ip("addr", "add", `${gateway}/32`, "dev", device)
  await ip("route", "add", `${address}/32`, "dev", device)
  const settings = [
    "BatchMode=yes",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "GlobalKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
    "IdentitiesOnly=yes",
  ].flatMap((each) => ["-o", each])
  await ip("addr", "add", `${metadata}/32`, "dev", device)
  const service = await knowNothing(namespace)
  try {
    const login = ["ssh", "-F", "none", ...settings, "-i", key, `${loginUser}@${address}`, "true"]
    await run("nsenter", [`--net=/run/netns/${namespace}`, ...login], { timeout: loginMs, signal })
  } finally {
    service.kill("SIGKILL")
  }
  await agent.over(agentMs)
}

/** See nobody-metadata.ts. Resolves with the process when it answers, or has ended: the login takes a second longer then. */
async function knowNothing(namespace: string) {
  const script = path.join(import.meta.dirname, "nobody-metadata.ts")
  const service = spawn("nsenter", [`--net=/run/netns/${namespace}`, process.execPath, script, metadata], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
    timeout: loginMs,
    killSignal: "SIGKILL",
  })
  service.stdin.on("error", () => {})
  await new Promise<void>((resolve) => {
    service.stdout.once("data", () => resolve())
    service.once("exit", () => resolve())
    service.once("error", () => resolve())
  })
  return service
}

async function keyIn(folder: string): Promise<string> {
  const key = path.join(folder, "key")
  if (!existsSync(`${key}.pub`)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "nobody", "-f", key], { timeout: 20_000 })
  }
  return key
}
