/**
 * Why the storage engine refused: `invalid` (a bad id, size or file), `not-found`, `conflict` (the id exists otherwise), `in-use`,
 * `disk-full`, `no-key` (what opens the volume is gone or is not that), `failed` (anything else; the message says what).
 */
export type StorageErrorCode = "invalid" | "not-found" | "conflict" | "in-use" | "disk-full" | "no-key" | "failed"

export class StorageError extends Error {
  readonly code: StorageErrorCode
  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = "StorageError"
    this.code = code
  }
}

/** What `error` means to a caller: a full disk or quota is told apart from everything else. */
export function storageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined
  const text = error instanceof Error ? error.message : String(error)
  const full = code === "ENOSPC" || code === "EDQUOT" || /No space left on device|Disk quota exceeded/.test(text)
  return new StorageError(full ? "disk-full" : "failed", text, { cause: error })
}

/** Largest volume, as on EBS: 64 TiB. */
export const maxVolumeBytes = 64 * 1024 ** 4

/** Ids become file names. Throws `invalid`. */
export function checkId(id: string): void {
  if (!/^[a-z0-9][a-z0-9-]{0,99}$/.test(id))
    throw new StorageError("invalid", `bad id ${JSON.stringify(id.slice(0, 120))}`)
}

/** A whole number of 512-byte sectors, up to `maxVolumeBytes`. Throws `invalid`. */
export function checkSize(sizeBytes: number): void {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % 512 === 0 && sizeBytes <= maxVolumeBytes) return
  throw new StorageError("invalid", `bad volume size ${sizeBytes}`)
}
