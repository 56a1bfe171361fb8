import { getCompileCacheDir } from "node:module"
import { dirname } from "node:path"
import { Worker } from "node:worker_threads"
import { StoreUnusableError, type CommitResult } from "../types.ts"
import { fromFailure } from "./failure.ts"
import type { WriteOutcome, WriteRequest, WriterAnswer, WriterMessage } from "./request.ts"
import type { WriterData } from "./writer.ts"

const maxGroup = 256
const maxGroupChars = 8 * 1024 * 1024
const maxWaiting = 10_000
const maxWaitingChars = 32 * 1024 * 1024
/** The writer holds one group at a time; its heap need not be larger. */
const writerLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8, stackSizeMb: 2 }

/** What `writer-start.mjs` takes. */
interface WriterStart {
  readonly compileCache: string | undefined
}

interface Job {
  readonly message: WriteRequest | "reset" | "close"
  readonly settle: (outcome: WriteOutcome | undefined) => void
  readonly reject: (error: Error) => void
}

export interface WriteQueue {
  /** Resolves when the commit is on disk. */
  commit(request: WriteRequest): Promise<CommitResult>
  reset(): Promise<void>
  /** Waits for all that was asked before, then ends the thread. */
  close(): Promise<void>
}

/**
 * Hands commits to the writer thread, one group at a time: what arrives while a group is being written goes with the next.
 * More than 10,000 commits or 32 M characters waiting are refused with `StoreUnusableError` "io".
 */
export function writeQueue(data: WriterData): WriteQueue {
  const workerData: WriterData & WriterStart = { ...data, compileCache: compileCache() }
  const worker = new Worker(new URL("./writer-start.mjs", import.meta.url), {
    workerData,
    resourceLimits: writerLimits,
  })
  const waiting: Job[] = []
  let waitingChars = 0
  let written: Job[] = []
  let scheduled = false
  let broken: StoreUnusableError | undefined
  let closed: Promise<void> | undefined

  const fail = (reason: string): void => {
    broken ??= new StoreUnusableError("io", `the writer of ${data.path} ended: ${reason}`)
    const jobs = [...written, ...waiting.splice(0)]
    written = []
    for (const job of jobs) job.reject(broken)
  }

  const send = (): void => {
    scheduled = false
    if (written.length > 0 || waiting.length === 0 || broken) return
    written = takeGroup(waiting)
    for (const job of written) waitingChars -= size(job)
    worker.ref()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(messageOf(written))
  }

  // Not at once: all that this turn of the event loop asks for goes into one transaction.
  const schedule = (): void => {
    if (scheduled) return
    scheduled = true
    setImmediate(send)
  }

  const enqueue = (message: Job["message"]): Promise<WriteOutcome | undefined> =>
    new Promise((settle, reject) => {
      const job = { message, settle, reject }
      if (broken) return reject(broken)
      if (message !== "close" && (waiting.length >= maxWaiting || waitingChars > maxWaitingChars)) {
        return reject(new StoreUnusableError("io", `too many commits wait for ${data.path}`))
      }
      waiting.push(job)
      waitingChars += size(job)
      schedule()
    })

  worker.on("message", ({ outcomes }: WriterAnswer) => {
    const jobs = written
    written = []
    worker.unref()
    for (const [at, job] of jobs.entries()) job.settle(outcomes[at])
    if (waiting.length > 0) schedule()
  })
  worker.on("error", (error) => fail(String(error)))
  worker.on("exit", () => fail("it is closed"))
  worker.unref()

  const shut = async (): Promise<void> => {
    if (broken) return
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()))
    const outcome = await enqueue("close")
    worker.ref()
    await ended
    if (outcome && "failure" in outcome) throw fromFailure(outcome.failure)
  }

  return {
    async commit(request): Promise<CommitResult> {
      if (closed) throw new StoreUnusableError("io", "the store is closed")
      const outcome = await enqueue(request)
      if (!outcome) throw new StoreUnusableError("io", "the writer gave no answer")
      if ("failure" in outcome) throw fromFailure(outcome.failure)
      return { versions: new Map(outcome.versions), seq: outcome.seq, generations: new Map(outcome.generations) }
    },
    async reset() {
      if (closed) throw new StoreUnusableError("io", "the store is closed")
      const outcome = await enqueue("reset")
      if (outcome && "failure" in outcome) throw fromFailure(outcome.failure)
    },
    close: () => (closed ??= shut()),
  }
}

/** The folder the main thread caches compiled code in, if it does; Node names the one of its own version below it. */
function compileCache(): string | undefined {
  const versioned = getCompileCacheDir()
  return versioned === undefined ? undefined : dirname(versioned)
}

function size({ message }: Job): number {
  return typeof message === "string" ? 0 : message.chars
}

/** The next group, in order; a reset and the close go alone. */
function takeGroup(waiting: Job[]): Job[] {
  let count = 0
  let chars = 0
  for (const job of waiting) {
    chars += size(job)
    const alone = typeof job.message === "string"
    if (count > 0 && (alone || count >= maxGroup || chars > maxGroupChars)) break
    count += 1
    if (alone) break
  }
  return waiting.splice(0, count)
}

function messageOf(jobs: readonly Job[]): WriterMessage {
  const first = jobs[0]?.message
  if (first === "reset" || first === "close") return { type: first }
  return { type: "group", commits: jobs.flatMap(({ message }) => (typeof message === "string" ? [] : [message])) }
}
