/** What was carried out for each guest, kept over a crash of this process: one small file per guest, replaced by rename. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { GuestStatus } from "../protocol/types.ts"

export interface GuestRecord {
  /** The boot of the machine on which `starts` was carried out: after a reboot it says nothing any more. */
  readonly bootId: string
  /** The spec's counter that was carried out last; -1: never started. */
  readonly starts: number
  readonly resets: number
  /** Set when we ended it, before we did. */
  readonly cause?: NonNullable<GuestStatus["cause"]>
  /** It was ended so that its disks can be copied: its start is to be carried out once more. */
  readonly resting?: true
  /** It is off and its memory is kept. */
  readonly hibernated?: true
  /** Why its memory was not kept when it was last ended. */
  readonly notKept?: string
  /** Why a start of it booted, though its memory had been kept. */
  readonly notResumed?: { readonly starts: number; readonly why: string }
  /** Wall times of its recoveries after a crash, those of the last day. */
  readonly recoveries?: readonly number[]
  /** What was taken for it, so that an orphan can be cleared away without its spec. */
  readonly volumes: readonly string[]
  readonly ports: readonly { readonly network: string; readonly port: string; readonly number: number }[]
}

export type Records = ReturnType<typeof openRecords>

export function openRecords(stateDirectory: string) {
  const directory = join(stateDirectory, "guests")
  const pathOf = (guest: string) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(guest)) throw new Error(`not a resource id: ${guest}`)
    return join(directory, `${guest}.json`)
  }
  return {
    /** Undefined when there is none, or none that can be read: then the machine itself is the truth. */
    async read(guest: string): Promise<GuestRecord | undefined> {
      const text = await readFile(pathOf(guest), "utf8").catch(missing)
      if (text === undefined) return undefined
      try {
        const record: unknown = JSON.parse(text)
        return isRecord(record) ? record : undefined
      } catch {
        return undefined
      }
    },
    /** Whole or not at all for whoever reads after a crash of ours. Not synced: after a power cut it counts no more. */
    async write(guest: string, record: GuestRecord): Promise<void> {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const temporary = `${pathOf(guest)}.new`
      await writeFile(temporary, JSON.stringify(record), { mode: 0o600 })
      await rename(temporary, pathOf(guest))
    },
    remove: (guest: string): Promise<void> => rm(pathOf(guest), { force: true }),
    async list(): Promise<readonly string[]> {
      const names = (await readdir(directory).catch(missing)) ?? []
      return names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length))
    },
  }
}

/** Only we write these files: this tells a whole one from a broken one. */
function isRecord(value: unknown): value is GuestRecord {
  if (typeof value !== "object" || value === null) return false
  return "starts" in value && "ports" in value && Array.isArray(value.ports) && "volumes" in value
}

function missing(error: unknown): undefined {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  return undefined
}
