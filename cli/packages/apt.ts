import { spawn, spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { isRoot } from "../caller.ts"
import { Failure, messageOf, program } from "../failure.ts"

/** What apt would do, in MB as apt itself says it. */
export type AptPlan = { packages: string[]; fetchMB: number; diskMB: number }

/** Resolvers that do not answer are given up after 6 s a name instead of 10 and more (resolv.conf(5)). */
const environment = {
  ...process.env,
  LC_ALL: "C",
  DEBIAN_FRONTEND: "noninteractive",
  RES_OPTIONS: "timeout:3 attempts:2",
}
const option = (text: string): string[] => ["-o", text]
const lockTimeout = option("DPkg::Lock::Timeout=120")
/** An archive that is out of reach is told within a minute: by itself apt tries each address of each list for two. */
const fetching = ["Acquire::Retries=1", "Acquire::http::Timeout=20", "Acquire::https::Timeout=20"].flatMap(option)
const installOptions = ["--no-install-recommends", ...lockTimeout, ...fetching]

const megabytes = (text: string | undefined, unit: string | undefined): number => {
  const factor = { B: 1e-6, kB: 1e-3, MB: 1, GB: 1e3 }[unit ?? ""] ?? 0
  return Number((text ?? "0").replaceAll(",", "")) * factor
}

/** Reads the summary of `apt-get install --assume-no` in the C locale. */
export const parseAptPlan = (output: string): AptPlan => {
  const list = /The following NEW packages will be installed:\n((?: .*\n)*)/.exec(output)?.[1] ?? ""
  const fetch = /Need to get ([\d.,]+) (\w+)(?:\/[\d.,]+ \w+)? of archives/.exec(output)
  const disk = /After this operation, ([\d.,]+) (\w+) of additional disk space/.exec(output)
  return {
    packages: list.split(/\s+/).filter((word) => word !== ""),
    fetchMB: megabytes(fetch?.[1], fetch?.[2]),
    diskMB: megabytes(disk?.[1], disk?.[2]),
  }
}

const aptCommand = (packages: readonly string[]): string =>
  `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(" ")}`

/** For packages whose files are gone or do not run. */
export const reinstallCommand = (packages: readonly string[]): string =>
  `sudo apt-get update && sudo apt-get install -y --reinstall --no-install-recommends ${packages.join(" ")}`

/** Whether this is a system whose packages we can install. */
export const hasApt = (): boolean => existsSync("/usr/bin/apt-get")

/** A Failure (3) that names the packages and the command that installs them. */
export const packagesMissing = (packages: readonly string[]): Failure =>
  hasApt()
    ? new Failure(3, `packages are missing: ${packages.join(", ")}`, aptCommand(packages))
    : new Failure(3, `programs are missing; on Debian their packages are: ${packages.join(", ")}`, [
        `install them with this system's package manager, or run: ${program} up --engine sim`,
      ])

const run = (argv: readonly string[], onLine: (line: string) => void, deadlineMs: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn("apt-get", argv, { env: environment, stdio: ["ignore", "pipe", "pipe"], timeout: deadlineMs })
    let tail = ""
    const take = (chunk: Buffer): void => {
      tail = (tail + chunk.toString("utf8")).slice(-8_000)
      const line = tail.trimEnd().split("\n").at(-1)
      if (line !== undefined) onLine(line.slice(0, 100))
    }
    child.stdout.on("data", take)
    child.stderr.on("data", take)
    child.on("error", reject)
    child.on("close", (code) =>
      code === 0 ? resolve(tail) : reject(new Error(tail.trimEnd().split("\n").slice(-8).join("\n"))),
    )
  })

const hasLists = (): boolean => {
  const folder = "/var/lib/apt/lists"
  return existsSync(folder) && readdirSync(folder).some((name) => /_Packages(\.\w+)?$/.test(name))
}

type OnLine = (line: string) => void

/** Any list that cannot be fetched is an error: apt-get itself only warns, and goes on with what it has. */
const update = async (packages: readonly string[], onLine: OnLine): Promise<void> => {
  const argv = ["update", ...lockTimeout, ...fetching, ...option("APT::Update::Error-Mode=any")]
  await run(argv, onLine, 300_000).catch((error: unknown) => {
    const missing = `these packages are missing, and the package lists could not be fetched: ${packages.join(", ")}`
    throw new Failure(3, `${missing}\n${messageOf(error)}`, [
      `${aptCommand(packages)}   (with a way to the archive)`,
      `${program} up --engine sim   (simulated instances need none of them)`,
    ])
  })
}

const simulate = (packages: readonly string[]): { plan: AptPlan; problem?: string } => {
  const argv = ["install", "--assume-no", ...installOptions, ...packages]
  const done = spawnSync("apt-get", argv, { env: environment, encoding: "utf8", timeout: 120_000 })
  const plan = parseAptPlan(done.stdout ?? "")
  if (plan.packages.length > 0) return { plan }
  if (done.status === 0) {
    throw new Failure(3, `dpkg has these packages, but files of them are gone: ${packages.join(", ")}`, [
      reinstallCommand(packages),
    ])
  }
  return { plan, problem: (done.stderr || done.stdout || "apt-get failed").trim() }
}

/** A dpkg that was killed at work, perhaps with the `up` that had started it, refuses everything until it has been let finish. */
const finishInterrupted = async (): Promise<void> => {
  const argv = ["--configure", "-a", "--force-confold"]
  const done = spawnSync("dpkg", argv, { env: environment, encoding: "utf8", timeout: 600_000 })
  if (done.status === 0) return
  throw new Failure(
    3,
    `dpkg was interrupted, and cannot be finished:\n${done.stderr.trim()}`,
    "sudo dpkg --configure -a",
  )
}
const isInterrupted = (text: string): boolean => text.includes("dpkg --configure -a")

/** What installing would fetch and take. Fetches the package lists first when this machine has none. */
export const aptPlan = async (packages: readonly string[], onLine: OnLine): Promise<AptPlan> => {
  if (!hasApt() || !isRoot()) throw packagesMissing(packages)
  if (!hasLists()) await update(packages, onLine)
  let { plan, problem } = simulate(packages)
  if (problem !== undefined && isInterrupted(problem)) {
    await finishInterrupted()
    ;({ plan, problem } = simulate(packages))
  }
  if (problem !== undefined) {
    await update(packages, onLine) // the lists may be older than the archive
    ;({ plan, problem } = simulate(packages))
  }
  if (problem !== undefined)
    throw new Failure(3, `apt-get cannot install ${packages.join(" ")}:\n${problem}`, aptCommand(packages))
  return plan
}

/** In a session of its own and without a pipe to us: whoever ends us, with our whole group, does not leave dpkg in the middle. */
const runApart = (argv: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn("apt-get", argv, { env: environment, stdio: ["ignore", 2, 2], detached: true })
    child.on("error", reject)
    child.on("close", (code) => (code === 0 ? resolve("") : reject(new Error(`exit code ${code}`))))
  })

/**
 * Installs. A list older than the archive (a file that is not found) is fetched anew once. With `isApart` what apt says goes to stderr, and
 * it comes to its end also when this process does not.
 */
export const aptInstall = async (packages: readonly string[], onLine: OnLine, isApart = false): Promise<void> => {
  const words = ["install", "-y", ...installOptions, ...packages]
  const install = () => (isApart ? runApart(["-qq", ...words]) : run(words, onLine, 1_800_000))
  try {
    await install()
  } catch (error) {
    const interrupted = isInterrupted(messageOf(error))
    // Its words went to stderr: nothing is done where nothing was interrupted.
    if (interrupted || isApart) await finishInterrupted()
    if (!interrupted) await update(packages, onLine)
    await install().catch((error: unknown) => {
      throw new Failure(3, `apt-get failed:\n${messageOf(error)}`, aptCommand(packages))
    })
  }
}
