import { InvalidArgumentError } from "commander"

/** Options of `up`, undefined where they were not given. */
export type UpOptions = {
  home?: string
  port?: number
  engine?: "auto" | "qemu" | "sim"
  auth?: "on" | "off"
  unknownAmi?: "reject" | "substitute"
  simSpeed?: number
  warm?: "on" | "off"
  /** clones that are kept waiting: "4", or "t3.micro=4,t3.small=1" */
  warmPool?: string
  publicCidr?: string
  vcpuLimit?: number
  throttle?: true
  /** what is built besides the first image, in the background */
  images?: "all" | "first"
  tls?: boolean
  foreground?: boolean
  /** make, or remove, a systemd unit */
  enable?: boolean
  disable?: boolean
  yes?: boolean
  /** false with --no-profile */
  profile?: boolean
  demo?: boolean
  json?: boolean
}

const wholeNumber = (text: string, low: number, high: number, what: string): number => {
  const value = Number(text)
  if (/^\d{1,9}$/.test(text) && value >= low && value <= high) return value
  throw new InvalidArgumentError(`${what} must be a whole number from ${low} to ${high}.`)
}

export const portOption = (text: string): number => wholeNumber(text, 1, 65_535, "A port")

export const vcpuOption = (text: string): number => wholeNumber(text, 0, 1_000_000, "A number of vCPUs")

export const linesOption = (text: string): number => wholeNumber(text, 0, 1_000_000, "The number of lines")

/** How many clones wait: a number, or numbers by instance type. Which types there are is known to the daemon. */
export const poolOption = (text: string): string => {
  const parts = text.split(",").map((part) => /^(?:([a-z0-9-]+\.[a-z0-9-]+)=)?(\d{1,2})$/.exec(part))
  const types = parts.map((part) => part?.[1])
  const total = parts.reduce((sum, part) => sum + Number(part?.[2]), 0)
  const clear = parts.length === 1 || (!types.includes(undefined) && new Set(types).size === types.length)
  if (clear && total <= poolLimit) return text
  throw new InvalidArgumentError(
    `A pool is a number up to ${poolLimit}, or numbers by type up to that in all: t3.micro=4,t3.small=1.`,
  )
}

/** Of clones that wait on one host. */
const poolLimit = 64

/** Cloud seconds per real second. */
export const speedOption = (text: string): number => {
  const value = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && value >= 1 && value <= 100_000) return value
  throw new InvalidArgumentError("A speed must be a number from 1 to 100000.")
}

/** An IPv4 network in its canonical form, /8 to /28, and nothing that a host already means something else by. */
export const cidrOption = (text: string): string => {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text)
  const [a, b, c, d, prefix] = (match ?? []).slice(1).map(Number)
  if (a === undefined || b === undefined || c === undefined || d === undefined || prefix === undefined) {
    throw new InvalidArgumentError("A network is written like 198.18.0.0/20.")
  }
  if ([a, b, c, d].some((byte) => byte > 255)) throw new InvalidArgumentError("An address has four numbers up to 255.")
  if (prefix < 8 || prefix > 28) throw new InvalidArgumentError("The prefix must be from /8 to /28.")
  const address = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  if (address % 2 ** (32 - prefix) !== 0) throw new InvalidArgumentError(`${text} has bits set after its prefix.`)
  if (a === 0 || a === 127 || a >= 224 || (a === 169 && b === 254)) {
    throw new InvalidArgumentError(`${text} is reserved for other uses.`)
  }
  return text
}
