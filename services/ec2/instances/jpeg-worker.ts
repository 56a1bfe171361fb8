/** The thread behind `toJpeg`: one picture in, one out. */
import { parentPort, workerData } from "node:worker_threads"
import jpeg from "jpeg-js"
import { readPicture } from "./picture.ts"

const quality = 80
const { width, height, data } = readPicture(Buffer.from(workerData as Uint8Array))
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port between threads has no origin
parentPort?.postMessage(new Uint8Array(jpeg.encode({ width, height, data }, quality).data))
