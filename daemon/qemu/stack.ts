/** The engines and the host of a home on `--engine qemu`. Opened by the daemon, and by `clean.ts` when there is no daemon. */
import { existsSync, mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { openQemu } from "#engine/hypervisor/qemu/driver.ts"
import type { HypervisorEngine } from "#engine/hypervisor/types.ts"
import { openLinuxNetwork } from "#engine/network/linux/open.ts"
import type { NetworkEngine } from "#engine/network/types.ts"
import { openQcow2Storage } from "#engine/storage/qcow2/storage.ts"
import type { StorageEngine } from "#engine/storage/types.ts"
import { claimSlot, type Slot, SlotError } from "#host/slots.ts"
import { type Clock, systemClock } from "#lib/clock.ts"
import type { Config } from "../config.ts"
import { StartError } from "../home-records.ts"

export interface Stack {
  readonly clock: Clock
  readonly slot: Slot
  readonly hypervisor: HypervisorEngine
  readonly network: NetworkEngine
  readonly storage: StorageEngine
  readonly publicCidr: string
  /** Everything of this home that a reboot may forget. */
  readonly runDirectory: string
  /** Root's own memory in the home: what was carried out, which accelerator works. */
  readonly stateDirectory: string
}

const shutdownMs = 20_000
const lookEveryMs = 100

export async function openStack(config: Config, log: (line: string) => void): Promise<Stack> {
  if (process.getuid?.() !== 0) throw new StartError("privilege", "real guests need root", "sudo ./fractus up")
  const clock = systemClock()
  const slot = await claimSlot({ home: config.home }).catch((error: unknown) => {
    throw error instanceof SlotError
      ? new StartError("home", error.message, `./fractus status --home ${config.home}`)
      : error
  })
  const runDirectory = `/run/fractus/${slot.number}`
  const isNew = !existsSync(runDirectory)
  try {
    return { clock, slot, ...(await openEngines(config, slot, clock, runDirectory, log)) }
  } catch (error) {
    // Guests of before keep the slot by their namespaces.
    if (isNew) rmSync(runDirectory, { recursive: true, force: true })
    await slot.release()
    throw error
  }
}

async function openEngines(
  config: Config,
  slot: Slot,
  clock: Clock,
  runDirectory: string,
  log: (line: string) => void,
): Promise<Omit<Stack, "clock" | "slot">> {
  const stateDirectory = join(config.home, "host")
  // Every folder on the way must let the unprivileged parts through.
  for (const path of ["/run/fractus", runDirectory]) mkdirSync(path, { recursive: true, mode: 0o755 })
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
  const publicCidr = config.publicCidr ?? slot.publicCidr
  const storage = await openQcow2Storage({ home: config.home })
  const hypervisor = await openQemu({ runDirectory, stateDirectory, prefix: slot.prefix, clock, log }).catch(
    (error: unknown) => {
      const said = (error instanceof Error ? error.message : String(error)).trim()
      throw new StartError(
        "privilege",
        `QEMU does not run: ${said}`,
        "sudo apt-get install --reinstall qemu-system-x86",
      )
    },
  )
  const network = await openLinuxNetwork({
    prefix: slot.prefix,
    slot: slot.number,
    publicCidr,
    runDirectory: join(runDirectory, "net"),
    stateDirectory,
    uids: slot.uids,
    log,
    clock,
  })
  return { hypervisor, network, storage, publicCidr, runDirectory, stateDirectory }
}

/** Ends all guests (asked first unless `ask` is false), removes networks and whatever else stands on the machine. Data stays. */
export async function tearDown(stack: Stack, { ask = true } = {}): Promise<void> {
  const { hypervisor, network, storage, slot, runDirectory, stateDirectory } = stack
  await endGuests(stack, ask)
  for (const id of await hypervisor.list()) await hypervisor.remove(id)
  for (const { id, ports } of await network.list()) for (const port of ports) await network.removePort(id, port)
  await network.down()
  for (const id of await storage.listVolumes()) await storage.release(id)
  await Promise.all([hypervisor.close(), network.close(), storage.close()])
  // Without it the next start boots the guests again, as after a reboot of the machine.
  rmSync(join(stateDirectory, "guests"), { recursive: true, force: true })
  rmSync(runDirectory, { recursive: true, force: true })
  // The folder of slots stays: its lock file must be the same for all who come.
  await slot.release()
}

async function endGuests(stack: Stack, ask: boolean): Promise<void> {
  const ids = await stack.hypervisor.list()
  if (ask) await shutDown(stack, ids)
  await Promise.all(ids.map((id) => stack.hypervisor.kill(id)))
}

/** Presses every guest's power button; returns when all are off, or have had their time. */
async function shutDown({ hypervisor, clock }: Stack, ids: readonly string[]): Promise<void> {
  const alive = async (id: string) => ["prepared", "running", "paused"].includes((await hypervisor.inspect(id)).phase)
  await Promise.all(ids.map((id) => hypervisor.requestShutdown(id).catch(() => {})))
  const end = clock.monotonicMs() + shutdownMs
  for (;;) {
    const living = await Promise.all(ids.map(alive))
    if (!living.includes(true) || clock.monotonicMs() > end) break
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}
