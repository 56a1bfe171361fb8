/** What somebody who waits for a machine sees of it first: its sshd's hello, and the end of the first command. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { banner, usualMs } from "./banner.ts"

const execute = promisify(execFile)

export interface Contact {
  /** To the first byte of the banner. */
  readonly bannerMs: number
  /** To the end of `ssh ADDRESS true` by OpenSSH's client, begun when the banner was seen. */
  readonly commandMs: number
}

/** By the private key in the file `key`. */
export interface Login {
  readonly address: string
  readonly user: string
  readonly key: string
}

/** An ed25519 key without a passphrase; the file with its private part. */
export async function makeKey(directory: string): Promise<string> {
  const file = join(directory, "key")
  await execute("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file], { timeout: 20_000 })
  return file
}

const options = [
  "BatchMode=yes",
  "StrictHostKeyChecking=no",
  "UserKnownHostsFile=/dev/null",
  "GlobalKnownHostsFile=/dev/null",
  "LogLevel=ERROR",
  "IdentitiesOnly=yes",
].flatMap((each) => ["-o", each])

/** Milliseconds since `started` on the monotonic clock. Rejects when one of the two did not come after `deadlineMs`. */
export async function firstContact(
  { address, user, key }: Login,
  started: number,
  deadlineMs: number,
  failed: Promise<never> = new Promise(() => {}),
  everyMs = usualMs,
): Promise<Contact> {
  const bannerMs = (await banner(address, deadlineMs, failed, everyMs)) - started
  const words = ["-F", "none", ...options, "-i", key, `${user}@${address}`, "true"]
  await execute("ssh", words, { timeout: deadlineMs })
  return { bannerMs, commandMs: performance.now() - started }
}
