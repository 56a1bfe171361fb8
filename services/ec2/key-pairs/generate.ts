/** New key pairs, and the three files that a private key is handed out as. Nothing here keeps a private key. */
import { createHmac, createHash, generateKeyPair, type KeyObject, randomBytes } from "node:crypto"
import { promisify } from "node:util"
import { fromBase64Url, type KeyType, publicBlob, sshNumber, sshString } from "./ssh-wire.ts"

const generate = promisify(generateKeyPair)
const rsaBits = 2048

export interface NewKey {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** Makes a pair in a thread of its own. rsa is 2,048 bits, as CreateKeyPair makes them. */
export function newKey(type: KeyType): Promise<NewKey> {
  return type === "rsa" ? generate("rsa", { modulusLength: rsaBits }) : generate("ed25519", {})
}

/** PEM as AWS gives it: PKCS #1 for rsa, OpenSSH's own format for ed25519. */
export function toPem(key: NewKey, comment: string): string {
  if (key.privateKey.asymmetricKeyType !== "rsa") return toOpenSsh(key, comment)
  return key.privateKey.export({ type: "pkcs1", format: "pem" }).trimEnd()
}

/** OpenSSH's PROTOCOL.key, without a passphrase. Its readers want the newline at the end. */
function toOpenSsh({ publicKey, privateKey }: NewKey, comment: string): string {
  const { d = "", x = "" } = privateKey.export({ format: "jwk" })
  const check = randomBytes(4)
  const secret = Buffer.concat([
    check,
    check,
    sshString("ssh-ed25519"),
    sshString(fromBase64Url(x)),
    sshString(Buffer.concat([fromBase64Url(d), fromBase64Url(x)])),
    sshString(comment),
  ])
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (secret.length % 8)) % 8)
  const keys = Buffer.of(0, 0, 0, 1)
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    sshString("none"),
    sshString("none"),
    sshString(""),
    keys,
    sshString(publicBlob(publicKey)),
    sshString(Buffer.concat([secret, padding])),
  ])
  const lines = toLines(file, 70).join("\n")
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`
}

/** PuTTY's file, version 2, which every PuTTY reads ("PPK file format" of its manual). Not encrypted. */
export function toPpk({ publicKey, privateKey }: NewKey, comment: string): string {
  const algorithm = privateKey.asymmetricKeyType === "rsa" ? "ssh-rsa" : "ssh-ed25519"
  const open = publicBlob(publicKey)
  const secret = ppkSecret(privateKey)
  const macKey = createHash("sha1").update("putty-private-key-file-mac-key").digest()
  const mac = createHmac("sha1", macKey)
  for (const part of [algorithm, "none", comment, open, secret]) mac.update(sshString(part))
  const openLines = toLines(open, 64)
  const secretLines = toLines(secret, 64)
  return [
    `PuTTY-User-Key-File-2: ${algorithm}`,
    "Encryption: none",
    `Comment: ${comment}`,
    `Public-Lines: ${openLines.length}`,
    ...openLines,
    `Private-Lines: ${secretLines.length}`,
    ...secretLines,
    `Private-MAC: ${mac.digest("hex")}`,
    "",
  ].join("\n")
}

function ppkSecret(privateKey: KeyObject): Buffer {
  const { d = "", p = "", q = "", qi = "" } = privateKey.export({ format: "jwk" })
  if (privateKey.asymmetricKeyType === "ed25519") return sshString(fromBase64Url(d))
  return Buffer.concat([d, p, q, qi].map((number) => sshNumber(fromBase64Url(number))))
}

function toLines(bytes: Buffer, width: number): readonly string[] {
  return bytes.toString("base64").match(new RegExp(`.{1,${width}}`, "g")) ?? []
}
