import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from "node:fs"
import { join } from "node:path"
import { readAsked, readFailure, wanted } from "#images/asked.ts"
import { isRoot } from "../caller.ts"
import { type Change, judge } from "../changes/judge.ts"
import { holderOfSlot, look } from "../changes/look.ts"
import { isReachableByAll } from "../daemon/code.ts"
import { readStatus } from "../daemon/api.ts"
import { runningDaemon } from "../daemon/process.ts"
import { startCommand } from "../daemon/require.ts"
import { type Check, ok, problem, warning } from "../doctor/check.ts"
import { checkMachine } from "../doctor/machine.ts"
import { readMachine } from "../doctor/read.ts"
import { Failure, messageOf, program } from "../failure.ts"
import { freeBytes, existingHome, homeFiles, homeWords, readConfig } from "../home.ts"
import { reinstallCommand } from "../packages/apt.ts"
import { brokenPrograms } from "../packages/broken.ts"
import { engineNeeds, missingPackages } from "../packages/needs.ts"
import { cannotListen, describeHolder, portHolder } from "../ports.ts"
import { shellQuote } from "../quote.ts"
import { repository } from "../repository.ts"
import { coloured, note, print, printJson, table } from "../terminal.ts"

const checkNode = (): Check => {
  const major = Number(process.versions.node.split(".")[0])
  const detail = `Node ${process.versions.node}`
  return major >= 26 ? ok("node", detail) : problem("node", `${detail}; 26 is needed`, `run it through ${program}`)
}

const checkRights = (engine: string): Check => {
  if (isRoot()) return ok("privileges", "root")
  if (engine === "sim") return ok("privileges", "none needed for --engine sim")
  return warning("privileges", "not root: only --engine sim works", `sudo ${program} up`)
}

const checkPackages = async (engine: string): Promise<Check> => {
  const missing = missingPackages(engineNeeds)
  const broken = await brokenPrograms(engineNeeds)
  if (missing.length === 0 && broken.length === 0) return ok("packages", "all that real guests need, and they run")
  if (broken.length > 0) {
    const detail = `do not run: ${broken.map((each) => `${each.program} (${each.said})`).join(", ")}`
    const mend = reinstallCommand([...missing, ...broken.map((each) => each.package)])
    return (engine === "sim" ? warning : problem)("packages", detail, mend)
  }
  const install = `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing.join(" ")}`
  const detail = `missing for real guests: ${missing.join(", ")}`
  return engine === "sim" ? warning("packages", detail, install) : problem("packages", detail, install)
}

const checkKvm = (): Check => {
  if (!existsSync("/dev/kvm")) {
    return warning(
      "kvm",
      "no /dev/kvm: guests run emulated, several times slower",
      "sudo modprobe kvm_intel || sudo modprobe kvm_amd",
    )
  }
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK)
    return ok("kvm", "/dev/kvm can be opened; whether it boots a guest is tried at the first start")
  } catch {
    return warning("kvm", "/dev/kvm cannot be opened by this user", `sudo ${program} up`)
  }
}

/** Some containers and hardened hosts allow no network namespaces; guests need one per VPC. */
const checkSysctl = (engine: string): Check => {
  const name = "user.max_net_namespaces"
  const limit = Number(readFileSync("/proc/sys/user/max_net_namespaces", "utf8"))
  if (limit >= 64) return ok("sysctl", `${name} = ${limit}`)
  const detail = `${name} = ${limit}; real guests need a network namespace per VPC`
  return (engine === "sim" ? warning : problem)("sysctl", detail, `sudo sysctl -w ${name}=15000`)
}

const checkDisk = (home: string, engine: string): Check => {
  const gigabytes = freeBytes(home) / 1024 ** 3
  const detail = `${gigabytes.toFixed(1)} GB free at ${home}`
  if (gigabytes >= 5 || engine === "sim") return ok("disk", detail)
  return problem("disk", `${detail}; real guests need 5 GB`, `${program} up --home DIR`)
}

/** Folders above it may be closed: the API sees the home alone, at another place. */
const checkHome = (home: string, engine: string): Check => {
  if (!existsSync(home)) return ok("home", `${home} will be made by the first start`)
  if (engine === "sim" || (statSync(home).mode & 0o001) !== 0)
    return ok("home", `${home} lets the daemon's user through`)
  return warning(
    "home",
    `${home} is closed to the daemon's user; the next start opens it`,
    `sudo chmod o+x ${shellQuote(home)}`,
  )
}

const checkCode = (): Check =>
  isReachableByAll(repository)
    ? ok("code", "can be read by the daemon's unprivileged user")
    : ok("code", "is in a private folder: each start links it into the home, where the daemon's user can read it")

const checkPort = async (port: number, address: string, running: boolean): Promise<Check> => {
  if (running) return ok("port", `${port} is served by this home`)
  const code = await cannotListen(port, address)
  if (code === undefined) return ok("port", `${port} is free`)
  if (code !== "EADDRINUSE") return problem("port", `${port} cannot be used: ${code}`, `${program} up --port 4567`)
  return problem("port", `${port} is in use by ${describeHolder(portHolder(port))}`, `${program} up --port 4567`)
}

const checkDaemon = async (home: string): Promise<Check> => {
  const daemon = runningDaemon(home)
  if (daemon === undefined) return warning("daemon", `not running on ${home}`, startCommand(home))
  try {
    const started = performance.now()
    const { instances } = await readStatus(daemon.endpoint, 5_000)
    const milliseconds = Math.round(performance.now() - started)
    return ok("daemon", `answers at ${daemon.endpoint} in ${milliseconds} ms; ${instances.length} instances`)
  } catch (error) {
    return problem("daemon", messageOf(error), `${program} restart --home ${home}`)
  }
}

/** Images that come by themselves: there, on their way, or failed, which costs nothing else. */
const checkImages = (home: string): Check => {
  const directory = homeFiles(home).images
  const [building] = readAsked(directory)
  for (const { id, name } of wanted(directory)) {
    const failure = readFailure(directory, id)
    if (failure !== undefined) return warning("images", `${name}: ${failure.message}`, failure.mend.join("; "))
  }
  if (building === undefined) return ok("images", "none is being built, and none failed")
  return ok("images", `${building.name} is being built: ${Math.floor(building.fraction * 100)} %, ${building.step}`)
}

/** `fractus doctor`: looks at everything that `up` needs; exits 1 when something is wrong. */
export const doctor = async (options: { home?: string; json?: boolean }): Promise<void> => {
  const home = existingHome(options.home)
  const config = readConfig(home)
  const engine = config?.engine ?? "qemu"
  const running = runningDaemon(home) !== undefined
  const port = await checkPort(config?.port ?? 4566, config?.address ?? "127.0.0.1", running)
  const machine = checkMachine(readMachine(engine, config?.publicCidr ?? "198.18.0.0/15"))
  const [system = checkNode(), ...others] = machine
  const checks = [
    system,
    checkNode(),
    checkRights(engine),
    await checkPackages(engine),
    checkKvm(),
    checkSysctl(engine),
    checkDisk(home, engine),
    checkHome(home, engine),
    checkCode(),
    ...others,
    port,
    ...(engine === "qemu" ? [checkImages(home)] : []),
    await checkDaemon(home),
  ]
  const { changes, check } = lookAtChanges(home, running)
  if (check !== undefined) checks.push(check)
  const problems = checks.filter(({ state }) => state === "problem")
  if (options.json === true) printJson({ ok: problems.length === 0, home, checks, changes })
  else {
    for (const each of checks) printCheck(each)
    if (changes.length > 0) print(`\n${coloured("bold", "Changed on this machine")}\n${changeTable(changes)}`)
  }
  if (options.json === true) {
    if (problems.length > 0) process.exitCode = 1
    return
  }
  if (problems.length === 0) return note(`\nNothing is wrong.${running ? "" : ` To start: ${startCommand(home)}`}`)
  const count = `${problems.length} problem${problems.length === 1 ? "" : "s"}`
  const mends = problems.map(({ mend }) => mend ?? "")
  throw new Failure(1, count, [...new Set(mends)])
}

/** What this home changed on the machine, and whether that is as it should be. None without a slot: it never ran real guests. */
const lookAtChanges = (home: string, running: boolean): { changes: Change[]; check: Check | undefined } => {
  const slotFile = join(home, "slot")
  if (!existsSync(slotFile)) return { changes: [], check: undefined }
  const slot = Number(readFileSync(slotFile, "utf8"))
  if (!isRoot()) {
    const detail = "only root can see namespaces and the firewall"
    return { changes: [], check: warning("machine", detail, `sudo ${program} doctor${homeWords(home)}`) }
  }
  const holder = holderOfSlot(slot)
  if (holder !== undefined && holder !== realpathSync(home)) {
    return { changes: [], check: ok("machine", `nothing of ours: the slot of its last start is now that of ${holder}`) }
  }
  let changes: Change[]
  try {
    changes = judge(look(slot), slot, running)
  } catch (error) {
    return { changes: [], check: warning("machine", messageOf(error), `${program} up`) }
  }
  const wrong = changes.filter(({ state }) => state !== "there")
  if (wrong.length === 0)
    return { changes, check: ok("machine", `${changes.length} changes of ours, all as they should be`) }
  const detail = wrong.map(({ kind, name, state }) => `${kind} ${name} ${state}`).join("; ")
  // A running host mends by itself every half minute; what is left over goes with the next end.
  const mend = running ? `${program} restart${homeWords(home)}` : `${program} down${homeWords(home)}`
  return { changes, check: problem("machine", detail, mend) }
}

const colours = { ok: "green", warning: "yellow", problem: "red" } as const

const changeTable = (changes: Change[]): string =>
  table(changes.map(({ kind, name, state, detail }) => [kind, name, state, detail]))

const printCheck = ({ name, state, detail, mend }: Check): void => {
  print(`${coloured(colours[state], state.padEnd(8))} ${name.padEnd(11)} ${detail}`)
  if (mend !== undefined) print(`${" ".repeat(21)}to mend it: ${mend}`)
}
