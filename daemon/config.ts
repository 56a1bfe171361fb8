/** The daemon's configuration: one JSON file in the home, written by the CLI. */
import { readFileSync } from "node:fs"
import { isAbsolute, join } from "node:path"

export interface Config {
  readonly home: string
  readonly address: string
  readonly port: number
  readonly engine: "qemu" | "sim"
  readonly auth: "on" | "off"
  readonly unknownAmi: "reject" | "substitute"
  /** Cloud seconds in a real second; 1 on qemu. */
  readonly simSpeed: number
  readonly publicCidr?: string
  readonly vcpuLimit?: number
  /** Calls beyond EC2's documented rates are refused. */
  readonly throttle?: true
  /** Whether guests may be clones of warm templates; on unless it says otherwise. */
  readonly warm?: "on" | "off"
  /** Clones that are kept waiting: "4", or "t3.micro=4,t3.small=1". */
  readonly warmPool?: string
  /** Serves TLS too, on the same port. */
  readonly tls?: boolean
  readonly region: string
  readonly account: string
}

const poolWords = /^(\d{1,2}|[a-z0-9-]+\.[a-z0-9-]+=\d{1,2}(,[a-z0-9-]+\.[a-z0-9-]+=\d{1,2})*)$/

/** Reads and checks the file. Throws with the name of what is wrong. */
export function readConfig(path: string): Config {
  const value: unknown = JSON.parse(readFileSync(path, "utf8"))
  if (typeof value !== "object" || value === null) throw new Error(`${path} is not an object`)
  const field = <T>(name: string, holds: (v: unknown) => v is T): T => {
    const found: unknown = (value as Record<string, unknown>)[name]
    if (!holds(found)) throw new Error(`${path}: ${name} is ${JSON.stringify(found)}`)
    return found
  }
  const text = (v: unknown): v is string => typeof v === "string" && v !== ""
  const among =
    <const T extends string>(...allowed: readonly T[]) =>
    (v: unknown): v is T =>
      allowed.includes(v as T)
  const number =
    (min: number, max: number) =>
    (v: unknown): v is number =>
      typeof v === "number" && v >= min && v <= max
  const publicCidr = (value as Record<string, unknown>)["publicCidr"]
  const limited = (value as Record<string, unknown>)["vcpuLimit"] !== undefined
  const config: Config = {
    home: field("home", (v): v is string => text(v) && isAbsolute(v)),
    address: field("address", text),
    port: field("port", number(0, 65_535)),
    engine: field("engine", among("qemu", "sim")),
    auth: field("auth", among("on", "off")),
    unknownAmi: field("unknownAmi", among("reject", "substitute")),
    simSpeed: field("simSpeed", number(0.001, 1_000_000)),
    region: field("region", text),
    account: field("account", (v): v is string => text(v) && /^\d{12}$/.test(v)),
    ...("throttle" in value ? { throttle: field("throttle", (v): v is true => v === true) } : {}),
    ...("tls" in value ? { tls: field("tls", (v) => typeof v === "boolean") } : {}),
    ...("warm" in value ? { warm: field("warm", among("on", "off")) } : {}),
    ...("warmPool" in value ? { warmPool: field("warmPool", (v): v is string => text(v) && poolWords.test(v)) } : {}),
    ...(text(publicCidr) ? { publicCidr } : {}),
    ...(limited ? { vcpuLimit: field("vcpuLimit", number(0, 1_000_000)) } : {}),
  }
  if (config.auth === "off" && config.engine !== "sim") throw new Error(`${path}: auth off is for engine sim only`)
  return config
}

/** Files of a home. */
export const homeFiles = (home: string) => ({
  store: join(home, "store"),
  images: join(home, "images"),
  record: join(home, "daemon.json"),
  failure: join(home, "daemon-error.json"),
  log: join(home, "daemon.log"),
  credentials: join(home, "credentials.json"),
})
