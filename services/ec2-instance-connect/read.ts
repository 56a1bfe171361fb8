/** The keys that both operations read. */
import { Fault } from "#lib/fault.ts"
import { readPublicKey, toAuthorizedKey } from "../ec2/key-pairs/public-key.ts"
import { raise } from "./errors.ts"

const invalid = (detail: string) => raise("InvalidArgsException", { detail })

/** "Supported SSH key types are RSA (OpenSSH and SSH2) and ED25519, the lengths 2048 and 4096": as a line of authorized_keys. */
export function readKey(text: string, comment: string): string {
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
