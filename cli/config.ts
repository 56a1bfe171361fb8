import { Failure, program } from "./failure.ts"
import { type Config, homeWords } from "./home.ts"
import type { UpOptions } from "./options.ts"

const defaultPort = 4566

/** Refuses what is wrong whatever the machine looks like. Usage errors, exit 2. */
export const checkOptions = (options: UpOptions): void => {
  const help = `${program} up --help`
  if (options.demo === true) throw new Failure(2, "not yet: --demo is not built in this release", `${program} up`)
  if (options.auth === "off" && options.engine !== "sim") {
    throw new Failure(2, "--auth off is only for --engine sim: it would open real machines to every web page", [
      `${program} up --engine sim --auth off`,
      help,
    ])
  }
  if (options.warmPool !== undefined && (options.engine === "sim" || options.warm === "off")) {
    throw new Failure(2, "--warm-pool keeps clones of warm templates: not with --engine sim or --warm off", help)
  }
  if (options.simSpeed !== undefined && options.engine !== "sim") {
    throw new Failure(2, "--sim-speed is only for --engine sim: real guests live in real time", [
      `${program} up --engine sim --sim-speed ${options.simSpeed}`,
      help,
    ])
  }
}

/** `auto` is qemu: it never falls back to simulated machines. */
export const chosenEngine = (options: UpOptions): "qemu" | "sim" => (options.engine === "sim" ? "sim" : "qemu")

/**
 * The config of a start. A home keeps its port, public addresses, limit and TLS from one start to the next; how requests are
 * checked and how fast the clock runs is said anew at each `up`, so that a relaxed start never lingers.
 */
export const newConfig = (home: string, options: UpOptions, saved: Config | undefined): Config => {
  const publicCidr = options.publicCidr ?? saved?.publicCidr
  const vcpuLimit = options.vcpuLimit ?? saved?.vcpuLimit
  return {
    home,
    port: options.port ?? saved?.port ?? defaultPort,
    address: "127.0.0.1",
    engine: chosenEngine(options),
    auth: options.auth ?? "on",
    unknownAmi: options.unknownAmi ?? "reject",
    simSpeed: options.simSpeed ?? 1,
    ...(options.warm === undefined ? {} : { warm: options.warm }),
    ...(options.warmPool === undefined ? {} : { warmPool: options.warmPool }),
    ...(options.throttle === true && { throttle: true }),
    ...(publicCidr === undefined ? {} : { publicCidr }),
    ...(vcpuLimit === undefined ? {} : { vcpuLimit }),
    tls: options.tls ?? saved?.tls ?? false,
    region: "us-east-1",
    account: "123456789012",
  }
}

/** A home's instances and volumes belong to one engine for good. */
export const checkEngineOfHome = (home: string, engine: "qemu" | "sim", saved: Config | undefined): void => {
  if (saved === undefined || saved.engine === engine) return
  throw new Failure(4, `${home} holds a cloud of --engine ${saved.engine}, not ${engine}`, [
    `${program} up --engine ${saved.engine}${homeWords(home)}`,
    `${program} up --engine ${engine} --home DIR   (another folder)`,
  ])
}

const onOff = (on: boolean) => (on ? "on" : "off")

/** Options given now that the running daemon was not started with, as `--port 4567 (now 4566)`. */
export const differences = (options: UpOptions, running: Config): string[] => {
  type Value = string | number | undefined
  const given: [string, Value, Value][] = [
    ["--engine", options.engine === "auto" ? undefined : options.engine, running.engine],
    ["--port", options.port, running.port],
    ["--auth", options.auth, running.auth],
    ["--unknown-ami", options.unknownAmi, running.unknownAmi],
    ["--sim-speed", options.simSpeed, running.simSpeed],
    ["--warm", options.warm, running.warm ?? "on"],
    ["--warm-pool", options.warmPool, running.warmPool ?? "0"],
    ["--public-cidr", options.publicCidr, running.publicCidr],
    ["--vcpu-limit", options.vcpuLimit, running.vcpuLimit],
    ["--tls", options.tls === undefined ? undefined : onOff(options.tls), onOff(running.tls)],
    ["--throttle", options.throttle && "on", running.throttle ? "on" : "off"],
  ]
  return given
    .filter(([, wanted, now]) => wanted !== undefined && wanted !== now)
    .map(([name, wanted, now]) => `${name} ${wanted} (now ${now ?? "the default"})`)
}
