import { spawnSync } from "node:child_process"
import { findInPath } from "../commands/aws.ts"
import { isRoot } from "../caller.ts"
import { Failure, program } from "../failure.ts"
import { aptInstall, aptPlan } from "../packages/apt.ts"
import { engineNeeds, missingPackages, type Need } from "../packages/needs.ts"
import { note, progressLine } from "../terminal.ts"
import { hasGuests, type SuiteName } from "./suites.ts"

const works = (name: string, argv: string[]): boolean =>
  findInPath(name) !== undefined && spawnSync(name, argv, { stdio: "ignore", timeout: 30_000 }).status === 0

/** Packages that the clients' tests need: any AWS CLI and any boto3 that work will do. */
const clientPackages = (): string[] => [
  ...(works("aws", ["--version"]) ? [] : ["awscli"]),
  ...(works("python3", ["-c", "import boto3"]) ? [] : ["python3-boto3"]),
]

const curl: Need = { package: "curl", files: ["/usr/bin/curl"] }

/** Other people's clients of S3, and what the guides ask with. 15 MB to fetch, 58 MB on disk. */
const apiClients: readonly Need[] = [
  curl,
  { package: "s3cmd", files: ["/usr/bin/s3cmd"] },
  { package: "rclone", files: ["/usr/bin/rclone"] },
]

/** What the tests of networks play guests with, beyond what the engine itself needs. */
const guestTools: readonly Need[] = [{ package: "busybox", files: ["/usr/bin/busybox", "/bin/busybox"] }, curl]

/**
 * ansible runs with the system's Python, whatever other one is on PATH. 20 MB to fetch, 290 MB on disk. The AWS CLI v2 of the distribution is compared
 * also where another one comes first.
 */
const longClients: readonly Need[] = [
  { package: "awscli", files: ["/usr/bin/aws"] },
  { package: "ansible", files: ["/usr/bin/ansible-playbook"] },
  { package: "python3-boto3", files: ["/usr/lib/python3/dist-packages/boto3/__init__.py"] },
]

/** Brings the packages that these suites need; a Failure (3) where that takes root and we are not. */
export const prepareSuites = async (suites: readonly SuiteName[], yes: boolean): Promise<void> => {
  const guests = suites.find(hasGuests)
  if (guests !== undefined && !isRoot()) {
    throw new Failure(3, "the tests with real guests need root", [
      `sudo ${program} test ${guests}`,
      `${program} test unit`,
      `${program} test api`,
    ])
  }
  const wanted = [
    ...(suites.includes("api") || guests !== undefined ? clientPackages() : []),
    ...(suites.includes("api") ? missingPackages(apiClients) : []),
    ...(guests !== undefined ? missingPackages([...engineNeeds, ...guestTools]) : []),
    ...(suites.includes("long") ? missingPackages(longClients) : []),
  ]
  const missing = [...new Set(wanted)]
  if (missing.length === 0) return
  const line = progressLine()
  const plan = await aptPlan(missing, () => line.show("Reading package lists"))
  line.end()
  note(`The tests need ${plan.packages.length} packages: ${plan.packages.join(" ")}`)
  note(`${plan.fetchMB.toFixed(0)} MB to fetch, ${plan.diskMB.toFixed(0)} MB on disk (apt-get).`)
  if (!yes && process.stdin.isTTY && process.stderr.isTTY) {
    const { confirm } = await import("@clack/prompts")
    const answer = await confirm({ message: "Install them?", output: process.stderr })
    if (answer !== true) throw new Failure(1, "nothing was changed", `${program} test unit`)
  }
  await aptInstall(missing, () => line.show("Installing packages"))
  line.end()
}
