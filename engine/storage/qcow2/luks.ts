/**
 * Encryption of a qcow2 that is empty yet: a LUKS header goes into it, with a master key of its own that a pass phrase opens. qemu-img would
 * do it too, but measures first how many rounds of PBKDF2 take a second, whatever time it is told: 2.3 s of CPU for each volume,
 * and "Unable to get accurate CPU usage" on hosts whose clock of it is coarse. Here it takes 0.07 s.
 *
 * Ciphers, hashes and PBKDF2 are node:crypto's; what is here are two formats, LUKS1 and qcow2:
 * https://gitlab.com/cryptsetup/cryptsetup/-/wikis/LUKS-standard/on-disk-format.pdf
 * https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt
 *
 * The rounds are the least that the format allows. They slow down who guesses pass phrases; ours is a data key of 256
 * random bits, which nobody guesses at any speed.
 */
import { createCipheriv, hash, pbkdf2, randomBytes, randomUUID } from "node:crypto"
import { type FileHandle, open } from "node:fs/promises"
import { promisify } from "node:util"
import { StorageError } from "../errors.ts"

const derive = promisify(pbkdf2)
const rounds = 1000
const masterKeyBytes = 64
const digestBytes = 32
const stripes = 4000
const sectorBytes = 512
/** The header takes the first 8 sectors; then each of 8 key slots the stripes of one key, to the next multiple of 8. */
const slotSectors = 504
const slots = 8
const payloadSector = 8 + slots * slotSectors
const luksBytes = payloadSector * sectorBytes
const slotState = { active: 0x00ac71f3, disabled: 0x0000dead }

const clusterBytes = 65_536
/** "Full disk encryption header pointer". */
const pointerExtension = 0x0537be77
const pointerBytes = 24
const methodLuks = 2

/** Makes an empty qcow2, as `createQcow2` gives it, an encrypted one. Not flushed. Throws StorageError for any other file. */
export async function encryptQcow2(path: string, passphrase: string): Promise<void> {
  const luks = await luksHeader(Buffer.from(passphrase, "latin1"))
  const file = await open(path, "r+")
  try {
    const header = Buffer.alloc(clusterBytes)
    await file.read(header, 0, header.length, 0)
    const known = header.readUInt32BE(20) === 16 && header.readUInt32BE(32) === 0 && header.readUInt32BE(96) === 4
    const length = header.readUInt32BE(100)
    if (header.readUInt32BE(4) !== 3 || !known || length < 104 || length > 4096)
      throw new StorageError("failed", "qemu-img makes an unknown kind of qcow2")
    const first = Math.ceil((await file.stat()).size / clusterBytes)
    await takeClusters(file, header, first, Math.ceil(luks.length / clusterBytes))
    await file.write(luks, 0, luks.length, first * clusterBytes)
    await file.write(pointTo(header, length, first * clusterBytes), 0, clusterBytes, 0)
  } finally {
    await file.close()
  }
}

/** The header cluster, saying that the file is encrypted and where its LUKS header is. */
function pointTo(header: Buffer, length: number, offset: number): Buffer {
  const pointer = Buffer.alloc(pointerBytes)
  pointer.writeUInt32BE(pointerExtension, 0)
  pointer.writeUInt32BE(pointerBytes - 8, 4)
  pointer.writeBigUInt64BE(BigInt(offset), 8)
  pointer.writeBigUInt64BE(BigInt(luksBytes), 16)
  // The first of the extensions. What follows, the backing file's name last, moves.
  const rest = header.subarray(length, clusterBytes - pointerBytes)
  const changed = Buffer.concat([header.subarray(0, length), pointer, rest])
  changed.writeUInt32BE(methodLuks, 32)
  const nameOffset = changed.readBigUInt64BE(8)
  if (nameOffset !== 0n) changed.writeBigUInt64BE(nameOffset + BigInt(pointerBytes), 8)
  return changed
}

/** Counts clusters at the file's end as used. One block of counts is good for 2 GiB of file. */
async function takeClusters(file: FileHandle, header: Buffer, first: number, count: number): Promise<void> {
  const table = Buffer.alloc(8)
  await file.read(table, 0, table.length, Number(header.readBigUInt64BE(48)))
  const block = Number(table.readBigUInt64BE())
  if (block === 0 || (first + count) * 2 > clusterBytes)
    throw new StorageError("failed", "a new volume has no room for a LUKS header")
  const ones = Buffer.alloc(count * 2)
  for (let index = 0; index < count; index++) ones.writeUInt16BE(1, index * 2)
  await file.write(ones, 0, ones.length, block + first * 2)
}

/** AES-256-XTS with plain64 and SHA-256, a new master key, and one key slot in use. */
async function luksHeader(passphrase: Buffer): Promise<Buffer> {
  const masterKey = randomBytes(masterKeyBytes)
  const [digestSalt, slotSalt] = [randomBytes(32), randomBytes(32)]
  const digest = await derive(masterKey, digestSalt, rounds, 20, "sha256")
  const slotKey = await derive(passphrase, slotSalt, rounds, masterKeyBytes, "sha256")
  const header = Buffer.alloc(luksBytes)
  header.write("LUKS\xba\xbe\0\x01", 0, "latin1")
  header.write("aes", 8, "latin1")
  header.write("xts-plain64", 40, "latin1")
  header.write("sha256", 72, "latin1")
  header.writeUInt32BE(payloadSector, 104)
  header.writeUInt32BE(masterKeyBytes, 108)
  digest.copy(header, 112)
  digestSalt.copy(header, 132)
  header.writeUInt32BE(rounds, 164)
  header.write(randomUUID(), 168, "latin1")
  for (let slot = 0; slot < slots; slot++) {
    const at = 208 + slot * 48
    header.writeUInt32BE(slot === 0 ? slotState.active : slotState.disabled, at)
    header.writeUInt32BE(8 + slot * slotSectors, at + 40)
    header.writeUInt32BE(stripes, at + 44)
  }
  header.writeUInt32BE(rounds, 212)
  slotSalt.copy(header, 216)
  encrypt(split(masterKey), slotKey).copy(header, 8 * sectorBytes)
  return header
}

/** Spreads a key over many sectors, all of which are needed to put it together ("AFsplit"). */
function split(key: Buffer): Buffer {
  const result = randomBytes(key.length * stripes)
  let sum: Buffer = Buffer.alloc(key.length)
  for (let stripe = 0; stripe < stripes - 1; stripe++)
    sum = diffuse(xor(sum, result.subarray(stripe * key.length, (stripe + 1) * key.length)))
  xor(sum, key).copy(result, key.length * (stripes - 1))
  return result
}

function diffuse(block: Buffer): Buffer {
  const number = Buffer.alloc(4)
  const parts = Array.from({ length: block.length / digestBytes }, (_, index) => {
    number.writeUInt32BE(index)
    const part = block.subarray(index * digestBytes, (index + 1) * digestBytes)
    return hash("sha256", Buffer.concat([number, part]), "buffer")
  })
  return Buffer.concat(parts)
}

const xor = (one: Buffer, other: Buffer): Buffer => Buffer.from(one.map((byte, index) => byte ^ (other[index] ?? 0)))

/** As the payload is: each sector by its number, from 0 on. */
function encrypt(plain: Buffer, key: Buffer): Buffer {
  const sectors = Array.from({ length: plain.length / sectorBytes }, (_, sector) => {
    const iv = Buffer.alloc(16)
    iv.writeBigUInt64LE(BigInt(sector))
    const cipher = createCipheriv("aes-256-xts", key, iv)
    const part = plain.subarray(sector * sectorBytes, (sector + 1) * sectorBytes)
    return Buffer.concat([cipher.update(part), cipher.final()])
  })
  return Buffer.concat(sectors)
}
