/** What every client of S3 does in the scenario, and how programs are run. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { SimDaemon } from "#tests/rig/daemon.ts"

/** A cloud, and a folder whose folder `from` is uploaded. */
export interface Place {
  readonly daemon: Pick<SimDaemon, "endpoint" | "credentials" | "env">
  readonly folder: string
}

/** Each rejects with what the client said. */
export interface Tool {
  makeBucket(bucket: string): Promise<unknown>
  /** All below a folder, to below a prefix. */
  upload(bucket: string): Promise<unknown>
  download(bucket: string, to: string): Promise<unknown>
  /** One object's copy within the bucket. */
  copy(bucket: string, from: string, to: string): Promise<unknown>
  remove(bucket: string, key: string): Promise<unknown>
  /** Keys of the whole bucket, sorted. */
  list(bucket: string): Promise<readonly string[]>
  presigned(bucket: string, key: string): Promise<string>
  /** An object that is not there: how the tool says it. */
  missing(bucket: string): Promise<unknown>
  removeBucket(bucket: string): Promise<unknown>
  close?(): Promise<void>
}

const exec = promisify(execFile)

/** What it wrote to stdout; its home is the folder. */
export const run = async (
  { daemon, folder }: Place,
  program: string,
  argv: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<string> =>
  (await exec(program, argv, { env: { ...daemon.env, HOME: folder, ...more }, timeout: 120_000, maxBuffer: 2 ** 24 }))
    .stdout
