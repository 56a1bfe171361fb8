/**
 * Starts the writer thread. Plain JavaScript, because a thread does not take part in the compile cache that the main thread
 * enabled: without it, stripping types costs each thread 15 MB and 0.1 s before its first commit.
 */
import { enableCompileCache } from "node:module"
import { workerData } from "node:worker_threads"

if (workerData.compileCache) enableCompileCache(workerData.compileCache)
await import("./writer.ts")
