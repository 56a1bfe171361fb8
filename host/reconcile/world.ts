/** What reconcilers see: the engines, and what the host knows of the other resources. */
import type { NetworkAssignment, NetworkSpec, Status } from "../protocol/types.ts"
import type { HostOptions } from "../types.ts"
import type { Checks } from "./checks.ts"
import type { Entry } from "./queue.ts"
import type { Memories } from "./memories.ts"
import type { Pool } from "./pool.ts"
import type { Records } from "./record.ts"
import type { Warmer } from "./warmer.ts"

export interface World extends Pick<
  HostOptions,
  "hypervisor" | "network" | "storage" | "metadata" | "images" | "clock" | "uidBase"
> {
  readonly records: Records
  readonly memories: Memories
  /** Undefined: all guests boot. */
  readonly warmer: Warmer | undefined
  /** Undefined: no clones are kept waiting. */
  readonly pool: Pool | undefined
  readonly bootId: string
  readonly shutdownMs: number
  /** Real time after which a network is looked at in full again. */
  readonly fullLookMs: number
  readonly identity: { readonly manufacturer: string; readonly product: string }
  entry(resource: string): Entry | undefined
  /** A guest whose process may hold this volume, network or port, or undefined. */
  holder(resource: string): string | undefined
  /** A volume or snapshot that is yet to be made of this volume or snapshot, or undefined. */
  takenFrom(resource: string): string | undefined
  /** A snapshot that is yet to be made while this guest is shut down, or undefined. */
  restFor(guest: string): string | undefined
  /** The network with all groups and all guests' ports that are assigned now. */
  networkSpec(assignment: NetworkAssignment): NetworkSpec
  readonly checks: Pick<Checks, "of">
  /** Look at `resource` again. */
  kick(resource: string): void
  /** Let those who wait for `resource` look again. */
  wake(resource: string): void
}

/** One pass over one resource. */
export interface Pass {
  readonly entry: Entry
  readonly world: World
  readonly superseded: () => boolean
  /** Nothing asked for it. */
  readonly routine: boolean
  /** Say how it stands. Said only when it differs from what was said before, and never for a superseded wish. */
  readonly report: (status: Status) => void
}
