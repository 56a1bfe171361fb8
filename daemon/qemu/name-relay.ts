/**
 * Names for guests where the host's resolvers answer on the host alone (dnsmasq, unbound, systemd-resolved's stub on loopback, IPv6): a
 * process of its own in the host's network asks them for guest-services. It runs while the host has such resolvers and no other.
 */
import { chmodSync, chownSync, existsSync, mkdirSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { type HostResolvers, hostResolvers } from "#guest-services/dns/host-resolvers.ts"
import { systemTimer } from "#host/reconcile/deadline.ts"
import { supervise, type Supervised } from "#host/supervise/supervise.ts"
import type { Log } from "#host/types.ts"
import type { Config } from "../config.ts"
import { codeAt, fewHeaps, isInside, tree, youngObjects } from "./code.ts"
import type { Stack } from "./stack.ts"

export interface NameRelay {
  /** Undefined while it is not needed. */
  pid(): number | undefined
  stop(): Promise<void>
  /** Watch no longer; a relay that runs goes on and can be adopted. */
  leave(): Promise<void>
}

const lookMs = 2_000

const folderOf = ({ runDirectory }: Pick<Stack, "runDirectory">) => join(runDirectory, "names")
/** Only guest-services' user and the relay's get to it. */
export const relaySocket = (stack: Pick<Stack, "runDirectory">) => join(folderOf(stack), "relay.sock")

/** True when guests would get no names without it. What listens at an address of the host's own may be closed to its neighbours. */
export function needsRelay({ direct }: HostResolvers, own: ReadonlySet<string> = ownAddresses()): boolean {
  return !direct.some(({ address }) => !own.has(address))
}

const ownAddresses = () =>
  new Set(Object.values(networkInterfaces()).flatMap((each = []) => each.map(({ address }) => address)))

/** Starts the relay if it is needed, and looks every two seconds whether it still is, or has come to be. */
export async function startNameRelay(stack: Stack, config: Config, log: Log): Promise<NameRelay> {
  const resolvers = hostResolvers(stack.clock)
  let child: Supervised | undefined
  let ending = false
  let cancel: (() => void) | undefined

  async function look(): Promise<void> {
    const needed = needsRelay(resolvers())
    if (needed === (child !== undefined)) return
    log(needed ? "names: the host's resolvers need the relay" : "names: the relay is not needed any more")
    if (needed) child = await startRelay(stack, config, log)
    else {
      await child?.stop()
      child = undefined
    }
  }
  /** Guests without names are better than no guests: it is tried again. */
  const carefully = (work: Promise<void>) =>
    work.catch((error: unknown) => log("names: the relay did not start", { error: String(error) }))
  let looking: Promise<void> = Promise.resolve()
  function lookLater(): void {
    cancel = systemTimer(lookMs, () => {
      looking = carefully(look())
      void looking.then(() => ending || lookLater())
    })
  }
  async function end(): Promise<void> {
    ending = true
    cancel?.()
    await looking
  }

  /** One of before, that may not be needed now, is found again by starting it. */
  async function adopt(): Promise<void> {
    if (existsSync(join(processes(stack), "name-relay.json"))) child = await startRelay(stack, config, log)
  }
  await carefully(adopt())
  await carefully(look())
  lookLater()
  return {
    pid: () => child?.pid(),
    async stop() {
      await end()
      await child?.stop()
    },
    async leave() {
      await end()
      child?.leave()
    },
  }
}

const processes = ({ runDirectory }: Stack) => join(runDirectory, "processes")

async function startRelay(stack: Stack, config: Config, log: Log): Promise<Supervised> {
  const { nameRelay, guestServices } = stack.slot.uids
  const folder = folderOf(stack)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chownSync(folder, nameRelay, guestServices)
  // What the relay makes in it has the group of those who may ask, to which the relay itself does not belong.
  chmodSync(folder, 0o2710)
  const compiled = join(folder, "compiled")
  mkdirSync(compiled, { recursive: true, mode: 0o700 })
  chownSync(compiled, nameRelay, nameRelay)
  const place = isInside(config.home) ? join(stack.runDirectory, "name-relay-code") : tree
  const seen = codeAt(place)
  const socket = relaySocket(stack)
  return supervise({
    name: "name-relay",
    argv: [
      seen(process.execPath),
      ...youngObjects,
      seen(join(tree, "guest-services/relay/main.ts")),
      "--socket",
      socket,
    ],
    uid: nameRelay,
    gid: nameRelay,
    bindMounts: place === tree ? [] : [{ from: tree, to: place, readOnly: true }],
    env: { ...fewHeaps, NODE_COMPILE_CACHE: compiled },
    log,
    runDirectory: processes(stack),
    existing: "keep",
    ready: async () => existsSync(socket),
  })
}
