/** The start of a machine: everything it needs is opened first, and a failure takes back what was made. */
import { randomBytes } from "node:crypto"
import { chownSync, closeSync, mkdirSync, rmSync, statSync } from "node:fs"
import path from "node:path"
import type { Clock } from "#lib/clock.ts"
import { shortened, timed } from "#lib/trace.ts"
import { UnusableMemory } from "../memory-image.ts"
import type { MachineSpec } from "../types.ts"
import type { Accelerator } from "./accelerator.ts"
import { machineArguments, translationBufferMiB } from "./argv.ts"
import type { Cgroups, Limits } from "./cgroup.ts"
import { diskChain } from "./disk-chain.ts"
import { attach, type Machine } from "./machine.ts"
import { bootId, end, identify } from "./process.ts"
import { type MachineRecord, readRecord, writeRecord } from "./record.ts"
import { firstFd, launch, lowerFence, openErrors, openFiles, raiseFence, readErrors } from "./spawn.ts"

export interface Workshop {
  readonly binary: string
  readonly host: Accelerator
  readonly cgroups: Cgroups
  /** See `makeCell`. */
  readonly cell: string
  readonly clock: Clock
  readonly log: (line: string) => void
}

/** What a machine starts with that does not boot. */
export interface Source {
  /** A file that is guest RAM. */
  readonly memory?: { readonly path: string; readonly shared: boolean }
  /** A clone's, of everything but its RAM: opened, and loaded by the function from the descriptor that it is told. */
  readonly state?: { readonly path: string; load(machine: Machine, fd: number): Promise<void> }
  /** Loads all of a machine that was hibernated. */
  readonly resume?: (machine: Machine) => Promise<void>
}

const answerMs = 15_000

/** QEMU itself beside guest RAM: its code, device state, stacks of its threads, page tables, caches of disk metadata. */
const overheadMiB = 192

export const limitsOf = (spec: MachineSpec, accelerator: string): Limits => ({
  cpuPercent: spec.cpuQuotaPercent ?? spec.vcpus * 100,
  memoryMiB: spec.memoryMiB + overheadMiB + (accelerator === "kvm" ? 0 : translationBufferMiB),
  threads: spec.vcpus + 128,
})

/**
 * Starts a process for a checked specification in `directory`, and waits until it answers. Rejects with what QEMU said.
 * After a failure no process is left; a directory that was not there before is removed.
 */
export async function startMachine(
  spec: MachineSpec,
  directory: string,
  workshop: Workshop,
  onChange: () => void,
  source?: Source,
): Promise<Machine> {
  const { host, cgroups, clock, log } = workshop
  if (host.accelerator === "none") throw new Error("this host can run no machines: see the log of the boot proof")
  const chains = spec.disks.map((disk) => diskChain(disk))
  const secrets = wantedSecrets(spec, path.dirname(directory))
  const { files, undo } = openFiles([...wantedFiles(spec, chains), ...secrets, ...sourceFiles(source)])
  const fresh = readRecord(directory) === undefined
  const nonce = randomBytes(12).toString("hex")
  let errors: number | undefined
  let pid: number | undefined
  try {
    makeDirectory(directory, spec.uid)
    const machineVersion = spec.machineVersion ?? host.machineVersion
    let fd = firstFd
    const argv = machineArguments(spec, {
      binary: workshop.binary,
      accelerator: host.accelerator,
      machineVersion,
      nonce,
      disks: chains.map((chain) => chain.map((layer) => ({ ...layer, fd: fd++ }))),
      ...(spec.boot.kind === "kernel" && { kernelFd: fd++, initrdFd: fd++ }),
      secrets: spec.disks.map((disk) => (disk.secret ? fd++ : undefined)),
      ...(source?.memory && { memory: { fd: fd++, shared: source.memory.shared } }),
      incoming: (source?.state ?? source?.resume) !== undefined,
    })
    const marks = {
      ...(source?.state && { clone: "nameless" as const }),
      ...(source?.resume && { memory: "loading" as const }),
    }
    const record: MachineRecord = { schema: 1, id: spec.id, nonce, bootId: bootId(), machineVersion, argv, ...marks }
    // At once: whoever finds the directory without it knows nothing of the machine.
    writeRecord(directory, record)
    errors = openErrors(path.join(directory, "errors"))
    const joins = cgroups.ensure(spec.id, limitsOf(spec, host.accelerator))
    const sockets = path.join(directory, "sockets")
    const namespace = spec.nics[0]?.namespace
    const started = launch({
      argv,
      directory: sockets,
      fence: raiseFence(directory, nonce),
      uid: spec.uid,
      namespace,
      joins,
      files,
      cell: workshop.cell,
      errors,
    })
    pid = started.pid
    const process = identify(pid)
    if (!process) throw new Error(readErrors(errors) || "the process ended at once")
    const full = { ...record, process }
    writeRecord(directory, full)
    const machine = { directory, record: full, clock, log, onChange }
    return await timed(
      "command",
      () => shortened(argv),
      async () => {
        const started = await attach(machine, answerMs)
        await source?.state?.load(started, fd)
        await source?.resume?.(started)
        return started
      },
    )
  } catch (error) {
    const left = pid === undefined ? undefined : identify(pid)
    if (left) await end(left, clock)
    await cgroups.remove(spec.id)
    if (fresh) rmSync(directory, { recursive: true, force: true })
    if (error instanceof UnusableMemory) throw error
    throw new Error(`machine ${spec.id}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    undo()
    lowerFence(directory, nonce)
    if (errors !== undefined) closeSync(errors)
  }
}

/** In the order in which the arguments number them: the layers of each disk, kernel, initrd. */
function wantedFiles(spec: MachineSpec, chains: readonly (readonly { readonly path: string }[])[]) {
  const layers = chains.flatMap((chain) => chain.map((layer, depth) => ({ path: layer.path, write: depth === 0 })))
  if (spec.boot.kind === "firmware") return layers
  const payload = [spec.boot.kernelPath, spec.boot.initrdPath]
  for (const file of payload) {
    // QEMU opens these again through /proc, where its own rights count.
    const stat = statSync(file)
    const readable = (stat.mode & 0o004) !== 0 || (stat.uid === spec.uid && (stat.mode & 0o400) !== 0)
    if (!readable) throw new Error(`machine ${spec.id}: ${file} must be readable by all or by user ${spec.uid}`)
  }
  return [...layers, ...payload.map((path) => ({ path, write: false }))]
}

/** After the kernel's. For the process's user, since QEMU opens them again. */
const wantedSecrets = ({ disks, uid }: MachineSpec, folder: string) =>
  disks.flatMap(({ secret }) => (secret ? [{ secret, uid, folder }] : []))

/** After those; the state comes last, and QEMU is told its number when it is to read it. */
function sourceFiles(source: Source | undefined) {
  const paths = [source?.memory?.path, source?.state?.path].filter((each) => each !== undefined)
  return paths.map((path) => ({ path, write: false }))
}

/** Ours, save `sockets`: there the guest's process may write. It enters by descriptor, so it can see nothing above. */
function makeDirectory(directory: string, uid: number): void {
  const sockets = path.join(directory, "sockets")
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  rmSync(sockets, { recursive: true, force: true })
  mkdirSync(sockets, { mode: 0o700 })
  chownSync(sockets, uid, uid)
}
