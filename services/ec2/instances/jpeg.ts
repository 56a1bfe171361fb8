/** Pictures from hosts, made into JPEGs in a thread of their own: the API goes on meanwhile, and a picture that takes too long is given up. */
import { Worker } from "node:worker_threads"
import { raise } from "../errors.ts"

const deadlineMs = 10_000
/** Threads at a time. Each takes some 50 MB for a moment. */
const atOnce = 2
let busy = 0

/**
 * A baseline JPEG of a binary PPM (see `readPicture` for what is taken). Throws RequestLimitExceeded when two are being made, else
 * an Error: the picture is not one, or takes longer than ten seconds.
 */
export async function toJpeg(picture: Buffer): Promise<Buffer> {
  if (busy >= atOnce) throw raise("RequestLimitExceeded")
  busy += 1
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
    busy -= 1
    void worker.terminate()
  }
}
