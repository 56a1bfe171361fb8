/**
 * The home's own certificate authority and the certificate that it serves TLS with. The authority may speak for loopback names and addresses
 * alone, so that whoever trusts it trusts nothing else; it is never put into the machine's store of trusted ones. node:crypto issues no
 * certificates: the openssl program does, which ca-certificates brings on Debian.
 */
import { execFileSync } from "node:child_process"
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto"
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export const tlsFiles = (home: string) => ({
  folder: join(home, "tls"),
  ca: join(home, "tls", "ca.pem"),
  caKey: join(home, "tls", "ca-key.pem"),
  cert: join(home, "tls", "server.pem"),
  key: join(home, "tls", "server-key.pem"),
})

const day = 86_400_000
const caDays = 3650
const serverDays = 90
/** What is left of a certificate when a new one is made. */
const caRenewMs = 365 * day
const serverRenewMs = 30 * day

const settings = `[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical, permitted;DNS:localhost, permitted;IP:127.0.0.0/255.0.0.0, permitted;IP:0:0:0:0:0:0:0:1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, DNS:s3.localhost, DNS:*.s3.localhost, IP:127.0.0.1, IP:0:0:0:0:0:0:0:1
`

/**
 * Makes what is not there, is not whole, or expires soon; says whether anything was made. Keys are 0600; `owner` is who serves, and may read
 * the server's key beside root, never the authority's. Throws with openssl's own words.
 */
export function ensureCertificates(home: string, nowMs: number, owner?: Owner): boolean {
  const files = tlsFiles(home)
  mkdirSync(files.folder, { recursive: true, mode: 0o755 })
  const isCaGood = lastsUntil(files.ca, files.caKey) > nowMs + caRenewMs
  if (isCaGood && isIssuedBy(files.cert, files.ca) && lastsUntil(files.cert, files.key) > nowMs + serverRenewMs) {
    if (owner) chownSync(files.key, owner.uid, owner.gid)
    return false
  }
  const config = join(files.folder, `openssl.${process.pid}.cnf`)
  writeFileSync(config, settings, { mode: 0o600 })
  try {
    if (!isCaGood)
      issue(files.ca, files.caKey, ["-subj", "/CN=Fractus on this machine", ...usage(config, "ca", caDays)])
    const by = ["-CA", files.ca, "-CAkey", files.caKey]
    issue(files.cert, files.key, ["-subj", "/CN=localhost", ...by, ...usage(config, "server", serverDays)], owner)
  } finally {
    rmSync(config, { force: true })
  }
  return true
}

const usage = (config: string, extensions: string, days: number) =>
  ["-config", config, "-extensions", extensions].concat("-days", String(days))

/** A new key and its certificate, each written whole; the certificate last, since whoever looks for a new one looks at it. */
function issue(path: string, keyPath: string, options: readonly string[], owner?: Owner): void {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const key = `${keyPath}.new`
  writeFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 })
  chmodSync(key, 0o600)
  const cert = execFileSync("openssl", ["req", "-x509", "-new", "-sha256", "-key", key, ...options], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 20_000,
  })
  if (owner) chownSync(key, owner.uid, owner.gid)
  writeFileSync(`${path}.new`, cert, { mode: 0o644 })
  renameSync(key, keyPath)
  renameSync(`${path}.new`, path)
}

/** The end of a certificate, 0 for one that is not there, cannot be read or is of another key. */
function lastsUntil(path: string, keyPath: string): number {
  try {
    const certificate = new X509Certificate(readFileSync(path))
    return certificate.checkPrivateKey(createPrivateKey(readFileSync(keyPath))) ? certificate.validToDate.getTime() : 0
  } catch {
    return 0
  }
}

function isIssuedBy(path: string, caPath: string): boolean {
  try {
    return new X509Certificate(readFileSync(path)).verify(new X509Certificate(readFileSync(caPath)).publicKey)
  } catch {
    return false
  }
}

/** What the server is to show, undefined while it cannot be read. */
export function readCertificate(home: string): { readonly cert: string; readonly key: string } | undefined {
  const { cert, key } = tlsFiles(home)
  try {
    return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") }
  } catch {
    return undefined
  }
}
