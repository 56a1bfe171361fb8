/**
 * `import { cloud } from "fractus/test"`: a throwaway cloud for a test of yours. JavaScript, because your Node (from 20 on) reads it;
 * Fractus itself runs on its own Node, as `fractus try --json`. Types: for-tests.d.ts.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("../../fractus", import.meta.url))

/** The first start of all may have to fetch the packages, and build the first image. */
const startMs = 600_000
const lineBytes = 1_048_576
const errorBytes = 16_384

export const cloud = async ({ engine = "sim" } = {}) => {
  if (engine !== "sim" && engine !== "qemu") throw new TypeError(`engine is "sim" or "qemu", not ${engine}`)
  const child = spawn(program, ["try", "--json", "--engine", engine], { stdio: ["pipe", "pipe", "pipe"] })
  // Writes to it fail when the child is gone, which its end says better.
  child.stdin.on("error", () => undefined)
  const facts = await firstLine(child)
  let closing
  const close = () => (closing ??= end(child))
  const { endpoint, region, accessKeyId, secretAccessKey, images, controlToken, environment } = facts
  const ask = async (method, page) => {
    const answer = await fetch(`${endpoint}${page}`, { method, headers: { "x-fractus-token": controlToken } })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${page} answered ${answer.status}: ${text}`)
  }
  return {
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    env: changed(environment),
    images: images.filter(({ state }) => state === "available").map(({ id, name }) => ({ id, name })),
    settled: ({ timeoutS = 30 } = {}) => ask("GET", `/_fractus/settled?timeout=${timeoutS}`),
    reset: () => ask("POST", "/_fractus/reset"),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** What it says of itself when it serves. Rejects with what it said instead. */
const firstLine = (child) =>
  new Promise((resolve, reject) => {
    let [text, errors] = ["", ""]
    const give = (settle, value) => {
      clearTimeout(timer)
      child.removeAllListeners()
      child.stdout.removeAllListeners().resume()
      // A cloud that nobody closed must not keep the process alive; it ends with the process.
      for (const part of [child, child.stdin, child.stdout, child.stderr]) part.unref()
      settle(value)
    }
    const fail = (what) => {
      child.kill("SIGTERM")
      give(reject, new Error(`no cloud: ${what}\n${errors}`.trim()))
    }
    const timer = setTimeout(() => fail(`nothing within ${startMs / 1000} s`), startMs)
    child.once("error", (error) => fail(error.message))
    child.once("close", (code, signal) => fail(`${program} try ended with ${signal ?? code}`))
    child.stderr.setEncoding("utf8").on("data", (part) => (errors = (errors + part).slice(-errorBytes)))
    child.stdout.setEncoding("utf8").on("data", (part) => {
      text += part
      if (text.includes("\n")) give(resolve, JSON.parse(text))
      else if (text.length > lineBytes) fail("its first line does not end")
    })
  })

/** This process's environment with the changes that the cloud asks for: null means that a variable must go. */
const changed = (environment) =>
  Object.fromEntries(
    Object.entries({ ...process.env, ...environment }).filter(([, value]) => value !== null && value !== undefined),
  )

/** Ends by the end of its input, and is waited for: afterwards no process and no file of it is there. */
const end = async (child) => {
  child.ref()
  const ended = child.exitCode !== null || child.signalCode !== null
  const exit = ended ? undefined : once(child, "exit")
  child.stdin.destroy()
  await exit
}
