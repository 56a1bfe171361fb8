/** What a user waits for: the lines of the README from RunInstances to a shell, by the ordinary AWS CLI and OpenSSH. */
import { execFile } from "node:child_process"
import { linkSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { textOf } from "#tests/rig/markdown.ts"
import type { Closers } from "../report/closers.ts"
import { type Result, result } from "../report/result.ts"
import { launchMs, type RealCloud } from "./cloud.ts"
import { openWarm } from "./sides.ts"

const execute = promisify(execFile)
const lines = () => textOf("README.md", "sh", "From nothing to a shell")

/** Clones made for the launch, and clones that waited, in turns; `count` of each. */
export async function timeScripts(count: number, closers: Closers): Promise<readonly Result[]> {
  const open = async (pool?: number) => {
    const cloud = await openWarm(pool === undefined ? {} : { pool })
    closers.add(() => cloud.close())
    // The name that the lines give the key.
    linkSync(cloud.key, join(dirname(cloud.key), "first.pem"))
    return cloud
  }
  const warm = await open()
  const pool = await open(1)
  const times: { readonly warm: number[]; readonly pool: number[] } = { warm: [], pool: [] }
  for (let at = 0; at < count; at++) {
    times.warm.push(await timeOf(warm))
    await pool.pooled()
    times.pool.push(await timeOf(pool))
  }
  return [
    result("the README's lines, a warm launch", "ms", null, times.warm),
    result("the README's lines, a launch from the pool", "ms", null, times.pool),
  ]
}

/** Milliseconds. The instance is gone when it resolves. */
async function timeOf(cloud: RealCloud): Promise<number> {
  const env = { ...process.env, image: cloud.image }
  const script = `set -eu\n${await cloud.environment()}\n${lines().replaceAll("--key-name first", `--key-name ${cloud.keyName}`)}\necho "$instance"`
  const started = performance.now()
  const { stdout } = await execute("sh", ["-c", script], { env, cwd: dirname(cloud.key), timeout: launchMs })
  const tookMs = performance.now() - started
  await cloud.terminate(stdout.trim())
  return tookMs
}
