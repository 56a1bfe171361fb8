/**
 * Ways out of a played machine, whose network reaches nobody: to the package archives of this machine and no further. Names stand in its
 * /etc/hosts with loopback addresses; a relay there carries each connection over a unix socket to this process, which makes it.
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"

export interface Way {
  readonly name: string
  readonly port: number
  /** Where it is found inside: 127.0.1.N. */
  readonly address: string
}

/** Files that say where apt gets its packages. */
export function aptSources(): readonly string[] {
  const folder = "/etc/apt/sources.list.d"
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
  return ["/etc/apt/sources.list", ...files.filter((path) => /\.(list|sources)$/.test(path))].filter(existsSync)
}

/** What tells programs of a way through a proxy or of another certificate, and npm of its registry. */
export const settings = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && /^(https?_proxy|no_proxy|npm_config_.*)$/i.test(name) ? [[name, value]] : [],
    ),
  )

/** Archives of apt and npm, and proxies, as this machine has them. */
export function waysOut(): readonly Way[] {
  const registry = execFileSync("npm", ["config", "get", "registry"], {
    encoding: "utf8",
    cwd: homedir(),
    stdio: ["ignore", "pipe", "ignore"],
  })
  const uncommented = aptSources().map((path) => readFileSync(path, "utf8").replace(/#.*/g, ""))
  const urls = [registry, ...uncommented, ...Object.values(settings())].flatMap(
    (text) => text.match(/https?:\/\/[^\s/"]+/g) ?? [],
  )
  const places = urls
    .map((url) => new URL(url))
    .map(({ hostname, port, protocol }) => ({
      name: hostname,
      port: Number(port || (protocol === "https:" ? 443 : 80)),
    }))
  const names = [...new Set(places.map(({ name }) => name))]
  const found = places.map((place) => ({ ...place, address: `127.0.1.${names.indexOf(place.name) + 1}` }))
  return found.filter((way, at) => found.findIndex(({ name, port }) => name === way.name && port === way.port) === at)
}

/** Two sockets become one connection; the end of either is the end of both. */
function joined(from: Socket, to: Socket): void {
  from.on("error", () => to.destroy()).on("close", () => to.destroy())
  to.on("error", () => from.destroy()).on("close", () => from.destroy())
  from.pipe(to).pipe(from)
}

/** Opens them for the machine whose first process is `pid`. Closed by what it gives, or after the test. */
export async function openWays(t: TestContext, pid: string, ways: readonly Way[]): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "fractus-ways-"))
  const path = join(folder, "socket")
  const outside = createServer((from) => {
    from.on("error", () => from.destroy())
    from.once("data", (head) => {
      const way = ways[Number(String(head))]
      if (way === undefined) from.destroy()
      else {
        const to = connect(way.port, way.name, () => from.write("\n"))
        joined(from, to)
      }
    })
  })
  outside.listen(path)
  const inside = spawn(
    "nsenter",
    ["-t", pid, "-n", process.execPath, import.meta.filename, path, JSON.stringify(ways)],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  )
  const close = () => {
    inside.kill("SIGKILL")
    outside.close()
    rmSync(folder, { recursive: true, force: true })
  }
  t.after(close)
  await once(inside.stdout, "data", { signal: AbortSignal.timeout(60_000) })
  return close
}

/** The inner half: listens at every way's address until its stdin ends. */
async function relay(path: string, ways: readonly Way[]): Promise<void> {
  for (const [number, { address, port }] of ways.entries()) {
    const server = createServer((from) => {
      const to = connect(path, () => to.write(String(number)))
      from.on("error", () => to.destroy())
      to.on("error", () => from.destroy())
      to.once("data", () => joined(from, to))
    })
    server.listen(port, address)
    await once(server, "listening")
  }
  process.stdin.resume().on("end", () => process.exit())
  process.stdout.write("open\n")
}

if (import.meta.main) await relay(process.argv[2] ?? "", JSON.parse(process.argv[3] ?? "[]"))
