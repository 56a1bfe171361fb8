/** What the host part is given, and what it offers beside the protocol. */
import type { Clock } from "#lib/clock.ts"
import type { Architecture, Boot, HypervisorEngine, Uids } from "#engine/hypervisor/types.ts"
import type { NetworkEngine } from "#engine/network/types.ts"
import type { StorageEngine } from "#engine/storage/types.ts"
import type { CheckTimes } from "./reconcile/checks.ts"
import type { HostConnection, HostFacts, NetworkDocument, ServedDocument } from "./protocol/types.ts"

export type Log = (message: string, fields?: Readonly<Record<string, unknown>>) => void

/** Runs `action` once after `delayMs` real milliseconds; what it returns cancels it. Must not keep the process alive. */
export type Timer = (delayMs: number, action: () => void) => () => void

/** Where the metadata service finds its documents. All are idempotent. */
export interface MetadataSink {
  write(infraAddress: string, document: ServedDocument): Promise<void>
  remove(infraAddress: string): Promise<void>
  writeNetwork(network: string, document: NetworkDocument): Promise<void>
  removeNetwork(network: string): Promise<void>
}

export interface HostImage {
  readonly architecture: Architecture
  readonly boot: Boot
  /** A qcow2 file that the storage engine may take over, when it does not have the image yet. */
  readonly diskPath?: string
}

/** The images on this host's disk. The peer only ever names ids; paths come from here. */
export interface ImageSource {
  list(): Promise<HostFacts["images"]>
  find(id: string): Promise<HostImage | undefined>
}

/** So many clones wait: of a size, or of what was launched last. */
export interface PoolTarget {
  readonly size?: { readonly vcpus: number; readonly memoryMiB: number }
  readonly count: number
}

export interface HostOptions {
  readonly hypervisor: HypervisorEngine
  readonly network: NetworkEngine
  readonly storage: StorageEngine
  readonly metadata: MetadataSink
  readonly images: ImageSource
  readonly clock: Clock
  readonly log: Log
  /** A guest's process runs as this plus its number. */
  readonly uidBase: number
  readonly publicCidr: string
  /** Holds `guests/<id>.json`: what was already carried out. */
  readonly stateDirectory: string
  /** Other processes of this home, for `processes()`. */
  readonly processes?: () => readonly { readonly name: string; readonly pid: number }[]
  /** Guests may be clones of warm templates, which are made by themselves as user `uid`. Missing: all guests boot. */
  readonly templates?: {
    readonly uid: number
    /** Of guests' interfaces. */
    readonly mtu: number
    /** A template is made when nothing was to be done for this long, real milliseconds; 3,000 by default. */
    readonly quietMs?: number
    /** Clones are kept waiting, as these users, which no guest is otherwise. Missing: none. */
    readonly pool?: {
      readonly uids: Uids
      readonly targets: readonly PoolTarget[]
      /** Between two looks at it, real milliseconds; 1,000 by default. */
      readonly everyMs?: number
      /** What of this machine's memory is left alone; by default a tenth, 512 MiB at least. */
      readonly floorMiB?: number
    }
  }
  /** SMBIOS strings; by default those that cloud-init takes for EC2. */
  readonly identity?: { readonly manufacturer: string; readonly product: string }
  /** This boot of the machine; by default the kernel's boot id. */
  readonly bootId?: string
  readonly timer?: Timer
  /** How long a guest may take to power off when asked, in cloud milliseconds; 60,000 by default. */
  readonly shutdownMs?: number
  /** Deadline of one engine call, real milliseconds; 60,000 by default. */
  readonly operationMs?: number
  /** Time between looks for drift, real milliseconds; 30,000 by default. */
  readonly resyncMs?: number
  /** Where the status checks differ from `checkTimes`; real milliseconds. */
  readonly checkTimes?: Partial<CheckTimes>
  /** First and longest pause after a failure, real milliseconds; 200 and 30,000 by default. */
  readonly backoffMs?: { readonly first: number; readonly longest: number }
  /** Starts of guests in flight (one for each CPU, two at least: more makes each slower) and other work in flight (8). */
  readonly limits?: { readonly starts: number; readonly others: number }
}

export interface HostControl {
  /** Resources that are not as wished yet: queued, at work, waiting for another, or about to be tried again. */
  pending(): number
  /** Resolves when `pending()` is 0. */
  idle(): Promise<void>
}
export type Host = HostConnection & HostControl
