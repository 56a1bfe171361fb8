/**
 * Keys that wrap data keys: 32 random bytes each in `<folder>/<name>.key`, 0600 in a folder of 0700, made when first needed. A data key
 * is 256 random bits, kept only as AES-256-GCM made of it, which names the key and what the data key belongs to: taken to
 * another volume, home or name it does not open.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { chmod, mkdir, open, readFile } from "node:fs/promises"
import { join } from "node:path"
import { StorageError, checkId } from "./errors.ts"
import { isAbsent, sweepTemporary, writeWhole } from "./files.ts"
import { createTurns } from "./turns.ts"

export interface KeyRing {
  /** A new data key, and what `unwrap` opens it from. Makes the key `name` unless it is there. Throws `no-key`. */
  create(name: string, owner: string): Promise<{ readonly dataKey: Buffer; readonly wrapped: string }>
  /** Throws `no-key` where the key is gone, is damaged or is not the one. */
  unwrap(name: string, owner: string, wrapped: string): Promise<Buffer>
}

/** Where a home has its keys: root's alone. */
export const keyFolder = (home: string): string => join(home, "host", "keys")

const [keyBytes, ivBytes, tagBytes] = [32, 12, 16]
const cipher = "aes-256-gcm"

export async function openKeyRing(folder: string): Promise<KeyRing> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  await sweepTemporary(folder)
  const turn = createTurns()
  const pathOf = (name: string) => join(folder, `${name}.key`)

  const read = async (name: string): Promise<Buffer | undefined> => {
    const key = await readFile(pathOf(name)).catch((error: unknown) => {
      if (isAbsent(error)) return undefined
      throw error
    })
    if (key !== undefined && key.length !== keyBytes) throw new StorageError("no-key", `the key ${name} is damaged`)
    return key
  }
  const make = async (name: string): Promise<Buffer> => {
    const key = randomBytes(keyBytes)
    await writeWhole(pathOf(name), (temporary) => writePrivate(temporary, key))
    return key
  }
  return {
    async create(name, owner) {
      checkId(name)
      const key = await turn(name, async () => (await read(name)) ?? (await make(name)))
      const dataKey = randomBytes(keyBytes)
      const iv = randomBytes(ivBytes)
      const seal = createCipheriv(cipher, key, iv).setAAD(context(name, owner))
      const sealed = Buffer.concat([seal.update(dataKey), seal.final()])
      return { dataKey, wrapped: Buffer.concat([iv, sealed, seal.getAuthTag()]).toString("base64") }
    },
    async unwrap(name, owner, wrapped) {
      checkId(name)
      const key = await turn(name, () => read(name))
      if (key === undefined) throw new StorageError("no-key", `the key ${name} of ${owner} is not on this host`)
      const bytes = Buffer.from(wrapped, "base64")
      try {
        if (bytes.length !== ivBytes + keyBytes + tagBytes) throw new Error("its length is wrong")
        const seal = createDecipheriv(cipher, key, bytes.subarray(0, ivBytes))
        seal.setAAD(context(name, owner)).setAuthTag(bytes.subarray(ivBytes + keyBytes))
        return Buffer.concat([seal.update(bytes.subarray(ivBytes, ivBytes + keyBytes)), seal.final()])
      } catch (error) {
        throw new StorageError("no-key", `the key ${name} does not open what ${owner} is encrypted with`, {
          cause: error,
        })
      }
    },
  }
}

const context = (name: string, owner: string) => Buffer.from(`fractus data key 1\n${name}\n${owner}\n`)

async function writePrivate(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, "wx", 0o600)
  try {
    await file.writeFile(bytes)
  } finally {
    await file.close()
  }
}
