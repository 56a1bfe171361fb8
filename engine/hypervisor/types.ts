/** The hypervisor engine: machines as processes. Knows no cloud. Drivers: `qemu/`, `sim/`; suite: `conformance.ts`. */
import type { Duplex } from "node:stream"
import type { MemoryImage } from "./memory-image.ts"

export type Architecture = "x86_64" | "arm64"

/** How a machine finds its first instruction. A direct kernel skips firmware and boot loader. */
export type Boot = (
  | { readonly kind: "kernel"; readonly kernelPath: string; readonly initrdPath: string; readonly commandLine: string }
  /** `agent`: the system on the disk has the agent of images/agent, so that templates can be made of it. */
  | { readonly kind: "firmware"; readonly agent?: boolean }
) & {
  /** Its agent knows a disk that was somebody's: templates can be made of copies, too. */
  readonly copies?: boolean
}

export interface Disk {
  /** Id of the volume, used for node and device names. */
  readonly id: string
  /** Serial number that the guest sees (at most 20 characters). */
  readonly serial: string
  readonly path: string
  readonly format: "qcow2" | "raw"
  /** What it is an overlay of: never found in the file, which is the guest's to write. */
  readonly backing?: { readonly path: string; readonly format: "qcow2" | "raw" }
  /** The file that this one is a copy of, larger perhaps, as long as nobody has written to it. */
  readonly copyOf?: string
  /** Pass phrase of the LUKS that the top layer is encrypted with. A function, so that nothing that prints or writes a disk holds it. */
  readonly secret?: () => string
  readonly bootIndex?: number
}

export interface Nic {
  readonly id: string
  readonly mac: string
  readonly mtu: number
  /** The tap, and the network namespace it stands in when the machine is prepared (see NetworkEngine.createPort). */
  readonly device: string
  readonly namespace: string
}

/** What a guest is told that need not find out by booting, because it is a clone of a warm template. */
export interface Identity {
  readonly hostName: string
  /** A line of authorized_keys for the image's login user; empty: none. */
  readonly authorizedKey: string
  /** IPv4, of the machine's first interface. */
  readonly address: string
  readonly prefixLength: number
  readonly gateway: string
  /** The content of resolv.conf. */
  readonly resolver: string
  /** At most 16 KiB; run once. */
  readonly userData: Uint8Array
}

export interface MachineSpec {
  readonly id: string
  readonly architecture: Architecture
  readonly vcpus: number
  readonly memoryMiB: number
  /** Share of host CPU, in hundredths of a CPU; undefined means vcpus * 100. */
  readonly cpuQuotaPercent?: number
  /** SMBIOS system uuid and serial; both the same lower-case uuid. */
  readonly uuid: string
  readonly manufacturer: string
  readonly product: string
  readonly boot: Boot
  readonly disks: readonly Disk[]
  readonly nics: readonly Nic[]
  /** Numeric user and group the process runs as. */
  readonly uid: number
  /** Pinned machine version of an earlier start ("pc-q35-7.2"); undefined: the driver's newest. */
  readonly machineVersion?: string
  /** Given where the machine may be a clone of a warm template: it is one when there is a template that fits and its disk is new. */
  readonly identity?: Identity
  /** The member of the pool that it takes over, whose tap is its only card's; NoneWaits, with nothing done, where it does not fit or is gone. */
  readonly fromPool?: string
  /** Memory of an earlier run (`hibernate`): it goes on where that stood. Never given to a second start: see `prepare`. */
  readonly resumeFrom?: MemoryImage
}

/**
 * Templates that have booted as far as they can without an identity, and of which machines are cloned. Which way a machine went
 * and why is told to the trace (lib/trace.ts).
 */
export interface WarmTemplates {
  /**
   * Make one for machines of the same kind as `like`, and try it, unless it is there. It runs as user `uid`, which no machine has.
   * Takes a boot. Resolves with its name; rejects with why there is none. One is made at a time, others wait.
   */
  make(like: MachineSpec, uid: number): Promise<string>
  /** Whether the template of this name is there. */
  has(name: string): Promise<boolean>
  /** Removes it; its clones go on. Idempotent. */
  remove(name: string): Promise<void>
  /** Why machines like this one cannot be cloned now, or undefined. */
  missing(like: MachineSpec): Promise<string | undefined>
  /** Memory that templates in use take, whether or not a clone uses it too. */
  loadedBytes(): number
  /** Missing where no clones are kept waiting. */
  readonly pool?: WarmPool
}

/**
 * Clones of templates that run and are nobody yet. A machine that fits one takes it over in `prepare`: process, user, control group and
 * disk, whose file is renamed over the machine's untouched one. None outlives the engine that keeps it, nor its template.
 */
export interface WarmPool {
  /**
   * Starts one of the template that fits `like`, whose only disk is new and belongs to nobody else: it is the member's from now on. Its
   * process runs as the first user of `uids` who is free. `place` puts its tap where it shall stand and says where that is; it stays where it
   * is without. Resolves with its id when it waits; rejects, with no process left, when it cannot.
   */
  add(like: MachineSpec, uids: Uids, place?: (tap: TapPlace) => Promise<TapPlace>): Promise<string>
  /** Those that wait now, or are being taken. */
  members(): readonly WarmMember[]
  /** Ends one that waits. Its disk's file stays. Idempotent. */
  end(id: string): Promise<void>
  /** Ends all that wait, and those that are being started; none is added any more. Idempotent. */
  close(): Promise<void>
}

/** Numeric users that are the pool's: `first` and those that follow. */
export interface Uids {
  readonly first: number
  readonly count: number
}

export interface WarmMember {
  readonly id: string
  /** Name of its template. */
  readonly template: string
  readonly pid: number
  /** Of its only card. Its process has opened it: it may be moved, by whoever takes the member over or ends it then. */
  readonly tap: TapPlace
}

/** A tap, and the network namespace it stands in. */
export interface TapPlace {
  readonly device: string
  readonly namespace: string
}

/** A clone did not become what it was told to be. Its machine has exited, "nameless"; started again without an identity, it boots. */
export class NotPersonalised extends Error {}

/** No clone of the pool can become this machine: it is to be started another way. */
export class NoneWaits extends Error {}

/**
 * `absent`: no process and no directory. `prepared`: process exists, no guest instruction has run yet; of a clone, nothing that the
 * guest itself does: it is becoming who it is to be.
 * `running`. `paused`: stopped by us or by an I/O error. `exited`: process gone, directory still here.
 */
export type MachinePhase = "absent" | "prepared" | "running" | "paused" | "exited"

export interface MachineState {
  readonly phase: MachinePhase
  readonly pid?: number
  readonly machineVersion?: string
  /** Where its card's tap stands, of one that was taken from the pool, while it is prepared. */
  readonly tap?: TapPlace
  /**
   * Why it exited or paused, where known. "nameless": a clone that ended before it was anybody. What it wrote is nobody's, and its disks
   * were new, so they should be made anew.
   */
  readonly cause?: "guest-shutdown" | "guest-panic" | "killed" | "requested" | "io-error" | "nameless" | "unknown"
}

/** Room for 1920 x 1200, with its header: more than the memory of the display adapter holds in true colour. */
export const pictureLimitBytes = 1920 * 1200 * 3 + 32

/** How long a machine's process has computed since it began, all its threads together. */
export interface CpuTime {
  /** Names this process among those of the machine: another start is another process. */
  readonly process: string
  readonly usedMs: number
}

/** "none": nobody in the guest listens where its agent would. */
export type GuestAgent = "answers" | "silent" | "none"

export interface HypervisorEngine {
  readonly name: "qemu" | "sim"
  /** What this host can do. Chosen by booting something tiny, remembered for this boot of the host. */
  probe(): Promise<{
    readonly accelerator: "kvm" | "tcg" | "none"
    readonly version: string
    readonly cpus: number
    readonly memoryMiB: number
  }>
  /** Ids of all machines that have a directory, alive or exited. Finds those started by an earlier process of ours. */
  list(): Promise<readonly string[]>
  inspect(id: string): Promise<MachineState>
  /**
   * Start the process with the guest stopped before its first instruction. Idempotent while prepared or later. With `resumeFrom` the next
   * instruction is that where it was hibernated; UnusableMemory, with no process left, when that cannot be. The image stays as it is:
   * the caller removes it before it lets the guest run, for then its disks change, and it must not be loaded again.
   */
  prepare(spec: MachineSpec): Promise<MachineState>
  /**
   * Let the guest run (from prepared or paused). Idempotent. After an I/O error: resolves when it is clear whether it goes on.
   * A clone: resolves when the guest is what its specification says. Throws NotPersonalised.
   */
  resume(id: string): Promise<void>
  /**
   * Stop a running guest, with all that it has written in the files of its disks, until `work` is done; then it goes on, also where that fails. A
   * machine that is paused stays so, one that has exited has written all. Nothing else is done with the machine meanwhile.
   */
  whileStill<T>(id: string, work: () => Promise<T>): Promise<T>
  /** Ask the guest to power off (ACPI). Returns at once; the guest may ignore it. */
  requestShutdown(id: string): Promise<void>
  /**
   * Stop a running guest, write its memory to `image` and end the process. When it resolves, the file is there, whole and on the disk.
   * Rejects where that cannot be (a full disk): then no file is left and the guest goes on. It takes as long as the guest is large;
   * meanwhile the machine is "paused", and `kill` ends it.
   */
  hibernate(id: string, image: MemoryImage): Promise<void>
  /** End the process now. Idempotent. */
  kill(id: string): Promise<void>
  /** Hard reset, as the reset button. */
  reset(id: string): Promise<void>
  /** Remove what is left of an exited machine (directory, cgroup, sockets, console log). Idempotent. */
  remove(id: string): Promise<void>
  /** The last `maxBytes` of what the guest wrote to its serial port, kept over stop and start. */
  consoleOutput(id: string, maxBytes: number): Promise<Buffer>
  /**
   * What the display of a running or paused machine shows now, as a PPM: "P6", width, height, 255, three bytes a pixel, at most
   * `pictureLimitBytes`. `wake` presses a key first. Not checked: a guest that broke out of its machine wrote what it liked.
   */
  screenshot(id: string, wake: boolean): Promise<Buffer>
  /** A non-maskable interrupt for all CPUs of a running machine: what its kernel makes of that is its own affair. */
  interrupt(id: string): Promise<void>
  /**
   * The serial port of a running machine, both ways; `consoleOutput` goes on as it is. Ends with the machine, is given back by `destroy`. Whoever
   * reads slowly misses something, and keeps nobody waiting. Rejects where somebody is at the port. Missing where no code runs.
   */
  openSerial?(id: string): Promise<Duplex>
  /** Whether the guest's own agent answers now; takes seconds when it is silent. "none" for a machine that does not run. */
  guestAgent(id: string): Promise<GuestAgent>
  /** Of all machines that are alive, by id. */
  cpuTimes(): Promise<ReadonlyMap<string, CpuTime>>
  /**
   * From now on the machine gets at most this share of host CPU, in hundredths of a CPU, until it is prepared anew. False where this
   * host can limit nothing. Rejects for one that is not alive.
   */
  limitCpu(id: string, percent: number): Promise<boolean>
  /** Missing where machines can only boot. */
  readonly templates?: WarmTemplates
  /** Called when a machine's phase changes by itself. Returns how to unsubscribe. */
  onChange(listener: (id: string) => void): () => void
  /** Stop watching; machines go on. */
  close(): Promise<void>
}
