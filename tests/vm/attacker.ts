/** For tests: guests of a running home, by ssh, and perl carried into them to send and hear whole frames. */
import assert from "node:assert/strict"
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, mkdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { createInterface } from "node:readline"
import type { TestContext } from "node:test"
import { root } from "../style/tree.ts"
import { type Cloud, sshWords } from "./cloud.ts"

export interface Guest {
  readonly id: string
  readonly privateAddress: string
  readonly publicAddress: string
  readonly mac: string
}

export interface Shell {
  /** What the command printed, in one session for all of them. Throws with its words when it fails or takes over 60 s. */
  run(command: string): Promise<string>
  /** A command in a session of its own that goes on until the test ends. */
  start(command: string): ChildProcessWithoutNullStreams
}

/** The words that end a command's output, with its exit status. */
const ending = (count: number) => new RegExp(`\\nend of ${count}: (\\d+)\\n`)

export function shellOf(t: TestContext, cloud: Cloud, { publicAddress }: Guest): Shell {
  const start = (command: string) => {
    const child = spawn("ssh", [...sshWords(cloud, publicAddress), command], { stdio: "pipe" })
    t.after(() => child.kill("SIGKILL"))
    child.stdin.on("error", () => {})
    return child
  }
  let session: ChildProcessWithoutNullStreams | undefined
  let [text, count] = ["", 0]
  const open = () => {
    const child = start("sh")
    child.stdout.on("data", (chunk) => (text += String(chunk)))
    child.stderr.on("data", (chunk) => (text += String(chunk)))
    return child
  }
  return {
    start,
    async run(command) {
      session ??= open()
      const end = ending(++count)
      text = ""
      session.stdin.write(`{ ${command}\n} </dev/null 2>&1; printf '\\nend of ${count}: %s\\n' $?\n`)
      const signal = AbortSignal.timeout(60_000)
      while (!end.test(text))
        await once(session.stdout, "data", { signal }).catch((cause: unknown) => {
          throw new Error(`no end of ${command}: ${text}`, { cause })
        })
      const [whole = "", status] = end.exec(text) ?? []
      const said = text.slice(0, text.indexOf(whole))
      assert.equal(status, "0", `${command}: ${said}`)
      return said
    },
  }
}

const program = join(root, "engine/network/linux/raw.pl")
const inGuest = "sudo /tmp/raw/ld.so --library-path /tmp/raw /tmp/raw/perl /tmp/raw/raw.pl"

/** This machine's perl with the libraries it needs: the guest has none, and no compiler is needed here. */
export function packTools(directory: string): string {
  const folder = join(directory, "raw")
  mkdirSync(folder)
  const perl = execFileSync("which", ["perl"], { encoding: "utf8" }).trim()
  const libraries = execFileSync("ldd", [perl], { encoding: "utf8" })
  for (const [, path = ""] of libraries.matchAll(/(\/\S+) \(0x/g)) {
    copyFileSync(path, join(folder, basename(path).startsWith("ld-linux") ? "ld.so" : basename(path)))
  }
  copyFileSync(perl, join(folder, "perl"))
  copyFileSync(program, join(folder, "raw.pl"))
  const archive = join(directory, "raw.tgz")
  execFileSync("tar", ["-C", directory, "-czf", archive, "raw"])
  return archive
}

/** Puts the tools into a guest; false when it does not let its key in yet. */
export async function unpack(archive: string, shell: Shell): Promise<boolean> {
  const child = shell.start("tar -C /tmp -xzf -")
  child.stdin.end(readFileSync(archive))
  const [status]: unknown[] = await once(child, "close")
  return status === 0
}

/** Send frames from a guest's card: "COUNT HEX …" as raw.pl takes them. Resolves when all are sent. */
export async function sender(shell: Shell): Promise<(...lines: string[]) => Promise<void>> {
  const child = shell.start(`${inGuest} send eth0`)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return async (...frames) => {
    child.stdin.write(frames.map((line) => `${line}\n`).join(""))
    for (let sent = 0; sent < frames.length;) {
      const { value, done } = await lines.next()
      assert.ok(!done, "the sender goes on")
      if (value === "sent") sent++
    }
  }
}

export interface Ears {
  readonly heard: string[]
  until(text: string): Promise<void>
}

/** What comes in at a guest's card, as hex. */
export async function listener(shell: Shell): Promise<Ears> {
  const child = shell.start(`${inGuest} hear eth0`)
  let words = ""
  child.stderr.on("data", (chunk) => (words += String(chunk)))
  const lines = createInterface({ input: child.stdout })
  await once(lines, "line", { signal: AbortSignal.timeout(60_000) }).catch((error: unknown) => {
    throw new Error(`the listener is silent: ${words}`, { cause: error })
  })
  const heard: string[] = []
  lines.on("line", (line) => heard.push(line))
  return {
    heard,
    async until(text) {
      const signal = AbortSignal.timeout(30_000)
      while (!heard.some((line) => line.includes(text))) await once(lines, "line", { signal })
    },
  }
}
