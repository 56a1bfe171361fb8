import { randomInt } from "node:crypto"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { createServer } from "node:net"
import { Failure } from "./failure.ts"

/** Who listens on a port, as far as /proc tells us: other users' processes cannot be seen without root. */
export type PortHolder = { inode: number; uid: number; pid?: number; command?: string; home?: string }

/** Rows of /proc/net/tcp or tcp6 that listen (state 0A) on the port. Addresses are hexadecimal, ports too. */
export const listeners = (procNetTcp: string, port: number): { inode: number; uid: number }[] =>
  procNetTcp
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A" && Number.parseInt(fields[1]?.split(":")[1] ?? "", 16) === port)
    .map((fields) => ({ inode: Number(fields[9]), uid: Number(fields[7]) }))

const readOrEmpty = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

const hasSocket = (pid: string, inode: number): boolean => {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`
      } catch {
        return false // closed meanwhile
      }
    })
  } catch {
    return false // gone, or not ours to see
  }
}

/** The home folder of a Fractus daemon, from its command line. */
export const homeOfCommand = (argv: readonly string[]): string | undefined => {
  const main = argv.findIndex((word) => word.endsWith("/daemon/main.ts"))
  const config = main < 0 ? undefined : argv[main + 1]
  return config?.endsWith("/config.json") === true ? config.slice(0, -"/config.json".length) : undefined
}

/** The process that listens on a TCP port of this machine, on whatever address; undefined when none does. */
export const portHolder = (port: number): PortHolder | undefined => {
  const [found] = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => listeners(readOrEmpty(path), port))
  if (found === undefined) return undefined
  const pid = readdirSync("/proc").find((name) => /^\d+$/.test(name) && hasSocket(name, found.inode))
  if (pid === undefined) return found
  const argv = readOrEmpty(`/proc/${pid}/cmdline`).split("\0").slice(0, -1)
  const home = homeOfCommand(argv)
  const command = argv.join(" ").slice(0, 200)
  return { ...found, pid: Number(pid), command, ...(home === undefined ? {} : { home }) }
}

/** The holder in words: `pid 12 (nginx: master)`, or what little can be seen of it. */
export const describeHolder = (holder: PortHolder | undefined): string => {
  if (holder === undefined) return "a process that cannot be seen from here"
  if (holder.home !== undefined) return `the Fractus of ${holder.home} (pid ${holder.pid})`
  if (holder.pid !== undefined) return `pid ${holder.pid} (${holder.command})`
  return `a process of uid ${holder.uid} (as root its pid can be seen too)`
}

/** Tries to listen: undefined when that works, else the error code (EADDRINUSE, EACCES, ...). */
export const cannotListen = (port: number, address: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const server = createServer()
    server.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ port, host: address, exclusive: true }, () => server.close(() => resolve(undefined)))
  })

// Below what Linux gives to connections (net.ipv4.ip_local_port_range), so that none of them takes it meanwhile.
const lowestDrawn = 20_000
const highestDrawn = 32_767

/** A port of 127.0.0.1 that nobody listens on now, drawn at random; another process may take it before we do. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(lowestDrawn, highestDrawn + 1)
    if ((await cannotListen(port, "127.0.0.1")) === undefined) return port
  }
  throw new Failure(1, `of 100 ports between ${lowestDrawn} and ${highestDrawn} none could be listened on`, "ss -ltn")
}
