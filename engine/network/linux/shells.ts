/**
 * Shells that wait for commands. To start a program from Node forks all of Node, 6 ms for which everything else of this process stands
 * still (measured on 2 cores at 60 MB); from a shell that is there it takes 2 ms, and nothing stands still.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import type { Socket } from "node:net"

export interface Outcome {
  /** Of the program; 128 and its signal's number where it was ended, 127 where there is none of its name. */
  readonly code: number
  readonly stdout: string
  /** The last 4,000 characters. */
  readonly stderr: string
}

export interface Shells {
  /** Runs a program to its end. Rejects, and the program is ended, past the deadline or where it prints more than `mostBytes`. */
  run(argv: readonly string[], input: string, deadlineMs: number, mostBytes: number): Promise<Outcome>
}

interface Shell {
  readonly child: ChildProcess
  readonly streams: readonly Socket[]
  write(text: string): void
}

/** That many wait; more are started when more is to be done at once. */
const idleLimit = 4

/** The shell, and what it runs. */
function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error
  }
}

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`

export function openShells(environment: Readonly<Record<string, string>>): Shells {
  const idle: Shell[] = []

  const open = (): Shell => {
    // A group of its own: what hangs is ended with its shell. At our end it finds its input closed, and ends too.
    const child = spawn("sh", [], { stdio: ["pipe", "pipe", "pipe"], env: environment, detached: true, cwd: "/" })
    const streams = [child.stdin, child.stdout, child.stderr] as unknown as readonly Socket[]
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8")
    // Told by its end.
    child.stdin.on("error", () => {})
    const shell = { child, streams, write: (text: string) => void child.stdin.write(text) }
    child.once("exit", () => {
      if (idle.includes(shell)) idle.splice(idle.indexOf(shell), 1)
    })
    child.once("error", () => {})
    return shell
  }
  /** Nobody waits for a shell that does nothing. */
  const rest = (shell: Shell) => {
    for (const handle of [shell.child, ...shell.streams]) handle.unref()
    if (idle.length < idleLimit) idle.push(shell)
    else shell.child.stdin?.end()
  }
  const take = () => {
    const shell = idle.pop() ?? open()
    for (const handle of [shell.child, ...shell.streams]) handle.ref()
    return shell
  }

  return {
    run(argv, input, deadlineMs, mostBytes) {
      const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
      const shell = take()
      const { child } = shell
      const mark = randomBytes(12).toString("hex")
      const ending = new RegExp(`${mark} ([0-9]+)\n$`)
      let stdout = ""
      let stderr = ""
      let why: string | undefined
      const end = (reason: string) => {
        why ??= reason
        endGroup(child)
      }
      const timer = setTimeout(() => end("passed its deadline"), deadlineMs)
      const leave = () => {
        clearTimeout(timer)
        child.stdout?.off("data", out)
        child.stderr?.off("data", complain)
        child.off("exit", closed)
        child.off("error", closed)
      }
      const closed = (found: unknown) => {
        leave()
        endGroup(child)
        reject(new Error(why ?? `its shell ended: ${found instanceof Error ? found.message : String(found)}`))
      }
      const look = () => {
        if (!stderr.endsWith(`${mark}\n`)) return
        const found = ending.exec(stdout.slice(-mark.length - 8))
        if (!found) return
        leave()
        rest(shell)
        resolve({
          code: Number(found[1]),
          stdout: stdout.slice(0, -found[0].length),
          stderr: stderr.slice(0, -mark.length - 1),
        })
      }
      const out = (part: string) => {
        stdout += part
        if (stdout.length > mostBytes) return end("printed too much")
        look()
      }
      const complain = (part: string) => {
        stderr = (stderr + part).slice(-4000)
        look()
      }
      child.stdout?.on("data", out)
      child.stderr?.on("data", complain)
      child.once("exit", closed)
      child.once("error", closed)
      // A text of ours in quotes is taken as it stands, up to the line that is the mark.
      const text = input === "" || input.endsWith("\n") ? input : `${input}\n`
      shell.write(`${argv.map(quoted).join(" ")} <<'${mark}'\n${text}${mark}\necho "${mark} $?"; echo ${mark} >&2\n`)
      return promise
    },
  }
}
