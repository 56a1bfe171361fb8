/**
 * Serial consoles by SSH: a process of its own in the host's network speaks it, and asks this one, over a socket that it alone may enter, whose key is
 * good. It runs from the first key of a home on. OpenSSH's sshd would ask for a user of the machine by the name of each instance: so it is ssh2.
 */
import { createHash } from "node:crypto"
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { SerialAnswer, SerialEndpoint } from "#host/protocol/types.ts"
import { serveSerial } from "#host/serial/server.ts"
import { createSerialSessions } from "#host/serial/sessions.ts"
import { supervise, type Supervised } from "#host/supervise/supervise.ts"
import type { Log } from "#host/types.ts"
import { newKey, toPem } from "#services/ec2/key-pairs/generate.ts"
import { publicBlob } from "#services/ec2/key-pairs/ssh-wire.ts"
import type { Config } from "../config.ts"
import { codeAt, fewHeaps, isInside, tree, youngObjects } from "./code.ts"
import type { Stack } from "./stack.ts"

export interface SerialConsole {
  serialKey(guest: string, key: string): Promise<SerialAnswer>
  /** Null before the first key. */
  serialEndpoint(): Promise<SerialEndpoint | null>
  pid(): number | undefined
  /** Ends all sessions and the process. */
  stop(): Promise<void>
}

/** What of it is tried first: as far from the API's port as 22 is from 0. */
const usualDistance = 22

export async function openSerialConsole(stack: Stack, config: Config, log: Log): Promise<SerialConsole> {
  const uid = stack.slot.uids.serialConsole
  const run = join(stack.runDirectory, "serial")
  const kept = join(stack.stateDirectory, "serial-console")
  const files = { host: join(run, "host.sock"), key: join(run, "host-key"), listens: join(run, "state", "port") }
  const sessions = createSerialSessions(stack.hypervisor, stack.clock)
  let starting: Promise<Started> | undefined

  async function start(): Promise<Started> {
    makeFolders(run, kept, uid)
    const fingerprint = await copyHostKey(kept, files.key, uid)
    const server = await serveSerial(sessions, { path: files.host, owner: uid, log })
    try {
      const before = Number(readText(join(kept, "port")) ?? config.port + usualDistance)
      const wanted = before >= 1 && before <= 65_535 ? before : 0
      rmSync(files.listens, { force: true })
      const child = await startProcess(stack, config, { ...files, run, uid, port: wanted }, log)
      // It was written by a process that may be anybody's by now.
      const port = Number(readText(files.listens))
      if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error("the serial console tells no port")
      writeFileSync(join(kept, "port"), `${port}\n`)
      return { child, server, endpoint: { address: config.address, port, fingerprint } }
    } catch (error) {
      server.close()
      throw error
    }
  }

  const started = () => {
    starting ??= start()
    const made = starting
    made.catch((error: unknown) => {
      log("serial console: it did not start", { error: String(error) })
      if (starting === made) starting = undefined
    })
    return made
  }
  let child: Supervised | undefined
  /** One of an earlier process of ours speaks to nobody: it is replaced. */
  const running = async () => {
    const found = await started()
    child = found.child
    return found
  }
  if (existsSync(join(stack.runDirectory, "processes", "serial-console.json"))) await running().catch(() => {})
  return {
    async serialKey(guest, key) {
      try {
        await running()
      } catch {
        return "unavailable"
      }
      return sessions.allow(guest, key)
    },
    serialEndpoint: async () => (starting === undefined ? null : (await running()).endpoint),
    pid: () => child?.pid(),
    async stop() {
      const found = await starting?.catch(() => undefined)
      found?.server.close()
      sessions.close()
      await found?.child.stop()
    },
  }
}

interface Started {
  readonly child: Supervised
  readonly server: { close(): void }
  readonly endpoint: SerialEndpoint
}

/** Ours, with one folder in it that the process may write. */
function makeFolders(run: string, kept: string, uid: number): void {
  mkdirSync(kept, { recursive: true, mode: 0o700 })
  mkdirSync(run, { recursive: true, mode: 0o710 })
  chownSync(run, 0, uid)
  chmodSync(run, 0o710)
  for (const name of ["state", "compiled"]) {
    mkdirSync(join(run, name), { recursive: true, mode: 0o700 })
    chownSync(join(run, name), uid, uid)
  }
}

/** Made once for a home; the process has a copy. Gives its fingerprint. */
async function copyHostKey(kept: string, copy: string, uid: number): Promise<string> {
  const [secret, open] = [join(kept, "host-key"), join(kept, "host-key.pub")]
  if (!existsSync(secret) || !existsSync(open)) {
    const key = await newKey("ed25519")
    writeFileSync(open, `ssh-ed25519 ${publicBlob(key.publicKey).toString("base64")}\n`)
    writeFileSync(secret, toPem(key, "fractus serial console"), { mode: 0o600 })
  }
  rmSync(copy, { force: true })
  writeFileSync(copy, readFileSync(secret), { mode: 0o400, flag: "wx" })
  chownSync(copy, uid, uid)
  const blob = Buffer.from((readText(open) ?? "").split(" ")[1] ?? "", "base64")
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`
}

function startProcess(
  stack: Stack,
  config: Config,
  own: { host: string; key: string; listens: string; run: string; uid: number; port: number },
  log: Log,
): Promise<Supervised> {
  const place = isInside(config.home) ? join(stack.runDirectory, "serial-console-code") : tree
  const seen = codeAt(place)
  return supervise({
    name: "serial-console",
    argv: [
      seen(process.execPath),
      ...youngObjects,
      seen(join(tree, "guest-services/serial-console/main.ts")),
      "--host",
      own.host,
      "--host-key",
      own.key,
      "--listens",
      own.listens,
      "--address",
      config.address,
      "--port",
      String(own.port),
    ],
    uid: own.uid,
    gid: own.uid,
    bindMounts: place === tree ? [] : [{ from: tree, to: place, readOnly: true }],
    env: { ...fewHeaps, NODE_COMPILE_CACHE: join(own.run, "compiled") },
    log,
    runDirectory: join(stack.runDirectory, "processes"),
    existing: "replace",
    ready: async () => existsSync(own.listens),
  })
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").slice(0, 4_096).trim()
  } catch {
    return undefined
  }
}
