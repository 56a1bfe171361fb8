/** What both operations read: shapes of the service's own model. */
import { Fault } from "#lib/fault.ts"
import { readPublicKey, toAuthorizedKey } from "../ec2/key-pairs/public-key.ts"
import { raise } from "./errors.ts"

const instanceId = /^i-[a-f0-9]{8,30}$/
const keyLengths = [80, 4096] as const

export const invalid = (detail: string) => raise("InvalidArgsException", { detail })

export function requireInstanceId(id = ""): string {
  if (instanceId.test(id)) return id
  throw invalid(`The instance ID '${id.slice(0, 64)}' is not valid.`)
}

/** "Supported SSH key types are RSA (OpenSSH and SSH2) and ED25519, the lengths 2048 and 4096": as a line of authorized_keys. */
export function readKey(text: string, comment: string): string {
  const [min, max] = keyLengths
  if (text.length < min || text.length > max)
    throw invalid(`The SSH public key must have between ${min} and ${max} characters.`)
  const key = orUndefined(() => readPublicKey(Buffer.from(text)))
  if (key === undefined || key.asymmetricKeyDetails?.modulusLength === 1024)
    throw invalid("The SSH public key is not a valid RSA or ED25519 key.")
  return toAuthorizedKey(key, comment)
}

/** A refused key is undefined: its error is EC2's own. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}
