/** The engine of S3's objects, opened with the first call that needs it. */
import type { ObjectsEngine } from "#engine/objects/types.ts"

export interface LaterObjects {
  /** Rejects with the system's error, and tries again the next time. */
  opened(): Promise<ObjectsEngine>
  reset(): Promise<void>
  close(): Promise<void>
}

/** Files below a folder. */
export function openObjectsLater(directory: string): LaterObjects {
  let opening: Promise<ObjectsEngine> | undefined
  const opened = (): Promise<ObjectsEngine> => {
    opening ??= import("#engine/objects/files/open.ts").then(({ openFiles }) => openFiles({ directory }))
    opening.catch(() => (opening = undefined))
    return opening
  }
  return {
    opened,
    // What an earlier process left has to go too, so it is opened for that.
    reset: async () => (await opened()).reset(),
    close: async () => (await opening)?.close(),
  }
}
