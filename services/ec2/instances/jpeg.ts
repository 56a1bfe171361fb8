/** Pictures from hosts, made into JPEGs in a thread of their own: the API goes on meanwhile, and a picture that takes too long is given up. */
import { Worker } from "node:worker_threads"
import { raise } from "../errors.ts"

const deadlineMs = 10_000
/** Threads at a time. Each takes some 50 MB for a moment. */
const atOnce = 2
/** Further ones wait their turn, up to this many. */
const mostWaiting = 32
let busy = 0
const waiting: (() => void)[] = []

async function takeTurn(): Promise<void> {
  if (busy < atOnce) {
    busy += 1
    return
  }
  if (waiting.length >= mostWaiting) throw raise("RequestLimitExceeded")
  // Whoever is done hands its place on.
  await new Promise<void>((resolve) => waiting.push(resolve))
}

function endTurn(): void {
  const next = waiting.shift()
  if (next === undefined) busy -= 1
  else next()
}

/**
 * A baseline JPEG of a binary PPM (see `readPicture` for what is taken). Two are made at a time and others wait; with too many waiting
 * it throws RequestLimitExceeded, else an Error: the picture is not one, or takes longer than ten seconds.
 */
export async function toJpeg(picture: Buffer): Promise<Buffer> {
  await takeTurn()
  const worker = new Worker(new URL("jpeg-worker.ts", import.meta.url), {
    workerData: picture,
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
  })
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`a picture took longer than ${deadlineMs} ms`)), deadlineMs)
      worker.once("message", (bytes: Uint8Array) => resolve(Buffer.from(bytes)))
      worker.once("error", reject)
      worker.once("exit", () => {
        clearTimeout(timer)
        reject(new Error("the thread that makes pictures ended"))
      })
    })
  } finally {
    endTurn()
    void worker.terminate()
  }
}
