/** Loads what the control plane loads only when it is needed: see lib/compiled.ts. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openSqliteStore } from "#store/sqlite/open.ts"
import { loadSchemas } from "#wire/schema/load.ts"

export async function loadLater(): Promise<void> {
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
