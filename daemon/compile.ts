/**
 * `NODE_COMPILE_CACHE=FOLDER node daemon/main.ts --compile`: loads all that a simulated cloud loads, and ends. A daemon that
 * compiles its own code at its first start holds 60 MB more for as long as it runs, as the compiler stays loaded; here it goes.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openSqliteStore } from "#store/sqlite/open.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import "./sim.ts"

export async function compileAll(): Promise<void> {
  await Promise.all([loadSchemas("ec2"), loadSchemas("sts")])
  // The store's writer is a thread with modules of its own.
  const directory = await mkdtemp(join(tmpdir(), "fractus-compile-"))
  try {
    const store = await openSqliteStore({ directory })
    await store.close()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
