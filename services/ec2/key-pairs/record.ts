/** Key pairs as they are stored: the public half only. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface KeyPairRecord extends Tagged {
  readonly name: string
  readonly type: "rsa" | "ed25519"
  /** As AWS shows it: SHA-1 or MD5 pairs of digits for rsa, base64 of SHA-256 for ed25519. */
  readonly fingerprint: string
  /** One line of `authorized_keys`: type, base64, the key's name. */
  readonly publicKey: string
  readonly createdMs: number
  /** True if the caller brought the public key, false if we made the pair. */
  readonly imported: boolean
}

export const keyPairKind = defineKind<KeyPairRecord>({
  name: "key-pair",
  prefix: "key",
  schema: 1,
  notFound: ["InvalidKeyPair.NotFound", "The key pair ID '{id}' does not exist"],
  malformed: ["InvalidParameterValue", "Value ({id}) for parameter keyPairId is invalid. Invalid key pair ID"],
  facets: ({ id, record }) => ({ "key-name": record.name, "key-pair-id": id, fingerprint: record.fingerprint }),
})
