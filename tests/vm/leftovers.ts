/** What Fractus may leave on a machine: the state before and after must be the same. */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"

const run = (command: string, ...args: readonly string[]) => execFileSync(command, args, { encoding: "utf8" })

/** Only what a home of slots 0 to 30 would have made: other tests may run at the same time under other names. */
const ours = /\bfr\d{1,2}[-t]/

export interface MachineState {
  readonly namespaces: readonly string[]
  readonly links: readonly string[]
  readonly rules: readonly string[]
  readonly routes: readonly string[]
  readonly mounts: readonly string[]
  readonly processes: readonly string[]
  readonly slots: readonly string[]
}

export function machineState(): MachineState {
  return {
    namespaces: list("/run/netns").filter((name) => ours.test(name)),
    links: lines(run("ip", "-o", "link")).filter((line) => ours.test(line)),
    rules: lines(run("nft", "list", "tables")).filter((line) => ours.test(line)),
    routes: lines(run("ip", "route")).filter((line) => ours.test(line)),
    mounts: lines(readFileSync("/proc/mounts", "utf8")).filter((line) => line.includes("/run/fractus/")),
    processes: processes(),
    slots: list("/run/fractus/slots").filter((name) => /^\d+$/.test(name)),
  }
}

function processes(): readonly string[] {
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()
        return /^\S*qemu-system|dnsmasq .*\/run\/fractus\/|guest-services\/(main|relay)|daemon\/(main|qemu\/api)/.test(
          command,
        )
          ? [command]
          : []
      } catch {
        return []
      }
    })
}

function lines(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "")
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
