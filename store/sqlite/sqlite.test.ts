import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { storeConformance } from "../conformance.ts"
import { openSqliteStore } from "./open.ts"

storeConformance("sqlite", async () => {
  const directory = mkdtempSync(join(tmpdir(), "fractus-store-"))
  const store = await openSqliteStore({ directory })
  let open = store
  return {
    store,
    reopen: async () => {
      await open.close()
      open = await openSqliteStore({ directory })
      return open
    },
    dispose: async () => {
      await open.close()
      rmSync(directory, { recursive: true })
    },
  }
})
