/**
 * What we know about a volume without asking its file, which a guest's process may write to: one small JSON file each.
 */
import { open, readdir } from "node:fs/promises"
import { join } from "node:path"
import { StorageError } from "./errors.ts"
import { readIfThere, unlinkIfThere, writeWhole } from "./files.ts"

export interface VolumeRecord {
  readonly sizeBytes: number
  readonly image?: string
  /** What it is a copy of. */
  readonly snapshot?: string
  /** Time of the last change of its file when it was made, in ns, of a copy that is not encrypted: whoever writes to it changes that. */
  readonly copiedNs?: string
  /** Of an encrypted volume: which key wraps its data key, and the data key so wrapped. */
  readonly key?: { readonly name: string; readonly wrapped: string }
}

export interface Records {
  read(id: string): Promise<VolumeRecord | undefined>
  write(id: string, record: VolumeRecord): Promise<void>
  /** True when there was one. */
  remove(id: string): Promise<boolean>
  list(): Promise<string[]>
}

/** Records in `folder`, one `<id>.json` each. Throws StorageError `failed` for one that is damaged. */
export function openRecords(folder: string): Records {
  const pathOf = (id: string): string => join(folder, `${id}.json`)
  return {
    read: async (id) => {
      const text = await readIfThere(pathOf(id))
      return text === undefined ? undefined : parse(id, text)
    },
    write: (id, record) => writeWhole(pathOf(id), (temporary) => writeText(temporary, JSON.stringify(record))),
    remove: (id) => unlinkIfThere(pathOf(id)),
    list: async () =>
      (await readdir(folder))
        .filter((name) => /^[a-z0-9].*\.json$/.test(name))
        .map((name) => name.slice(0, -".json".length)),
  }
}

async function writeText(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600)
  try {
    await file.writeFile(`${text}\n`)
  } finally {
    await file.close()
  }
}

function parse(id: string, text: string): VolumeRecord {
  const value: unknown = safeParse(text)
  const fields = new Map<string, unknown>(typeof value === "object" && value !== null ? Object.entries(value) : [])
  const sizeBytes = fields.get("sizeBytes")
  const [image, snapshot, copiedNs] = ["image", "snapshot", "copiedNs"].map((name) => fields.get(name))
  if (typeof sizeBytes !== "number" || !Number.isSafeInteger(sizeBytes)) {
    throw new StorageError("failed", `the record of volume ${id} is damaged`)
  }
  return {
    sizeBytes,
    ...(typeof image === "string" ? { image } : {}),
    ...(typeof snapshot === "string" ? { snapshot } : {}),
    ...(typeof copiedNs === "string" ? { copiedNs } : {}),
    ...(fields.has("key") ? { key: parseKey(id, fields.get("key")) } : {}),
  }
}

/** Never left out: an encrypted volume must not be taken for one that is not. */
function parseKey(id: string, value: unknown): NonNullable<VolumeRecord["key"]> {
  const fields = new Map<string, unknown>(typeof value === "object" && value !== null ? Object.entries(value) : [])
  const [name, wrapped] = [fields.get("name"), fields.get("wrapped")]
  if (typeof name !== "string" || typeof wrapped !== "string")
    throw new StorageError("no-key", `the record of volume ${id} has a damaged key`)
  return { name, wrapped }
}

function safeParse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
