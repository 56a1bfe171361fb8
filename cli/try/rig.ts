/** For the tests of `fractus try`: a folder in which all of its homes stand, and a look at what is left of them. */
import assert from "node:assert/strict"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { TestContext } from "node:test"
import { inRepository } from "../repository.ts"

export type Ran = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }

export type Running = { child: ChildProcess; ended: Promise<Ran>; line: (deadlineMs?: number) => Promise<string> }

/** Its input ends after `input`, unless the test keeps it open. */
export type RunOptions = { input?: string; keepInput?: boolean; env?: NodeJS.ProcessEnv; cwd?: string }

export type Rig = {
  /** TMPDIR of all that is started: here the homes are. */
  folder: string
  /** Starts a program; `line` waits for the first line that it prints. */
  start: (argv: readonly string[], options?: RunOptions) => Running
  /** Starts `fractus try` with these words. */
  tryOut: (words: readonly string[], options?: RunOptions) => Running
  /** Processes that name the folder, and homes in it. */
  left: () => string[]
  /** Fails where something is left after a while. */
  assertNothingLeft: () => Promise<void>
}

const patienceMs = 60_000

export const openRig = (context: TestContext): Rig => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-trial-"))
  const children = new Set<ChildProcess>()
  context.after(async () => {
    for (const child of children) child.kill("SIGKILL")
    // Guests and networks of a test that failed; there are no homes after one that passed.
    for (const home of homesIn(folder))
      spawnSync(inRepository("fractus"), ["down", "--home", home], { timeout: 90_000, stdio: "ignore" })
    for (const pid of processesNaming(folder)) process.kill(pid, "SIGKILL")
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  })
  const start: Rig["start"] = ([file = "", ...argv], { input = "", keepInput = false, env = {}, cwd } = {}) => {
    const child = spawn(file, argv, { env: { ...process.env, TMPDIR: folder, ...env }, ...(cwd && { cwd }) })
    children.add(child)
    child.stdin.on("error", () => undefined)
    if (!keepInput) child.stdin.end(input)
    let [stdout, stderr] = ["", ""]
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")))
    const ended = new Promise<Ran>((resolve, reject) => {
      child.once("error", reject)
      child.once("exit", () => children.delete(child))
      child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
    })
    const line = async (deadlineMs = patienceMs): Promise<string> => {
      const seen = (): boolean => stdout.includes("\n") || child.exitCode !== null
      await until(`a line of ${argv.join(" ")}`, seen, deadlineMs)
      assert.notEqual(stdout, "", stderr)
      return stdout.split("\n")[0] ?? ""
    }
    return { child, ended, line }
  }
  const left = (): string[] => [...homesIn(folder), ...processesNaming(folder).map((pid) => `process ${pid}`)]
  return {
    folder,
    start,
    tryOut: (words, options) => start([inRepository("fractus"), "try", ...words], options),
    left,
    assertNothingLeft: () =>
      until(
        () => `nothing is left of ${left().join(", ")}`,
        () => left().length === 0,
      ),
  }
}

const homesIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith("fractus-try-"))
    .map((name) => join(folder, name))

/** Daemons and commands carry the folder in their arguments or their environment. */
const processesNaming = (folder: string): number[] =>
  readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return []
    try {
      const texts = ["cmdline", "environ"].map((file) => readFileSync(`/proc/${name}/${file}`, "latin1"))
      return texts.some((text) => text.includes(folder)) ? [Number(name)] : []
    } catch {
      return [] // it ended meanwhile, or is not ours to see
    }
  })

/** Looks until it holds; fails in words when the time is over. */
export const until = async (
  what: string | (() => string),
  holds: () => boolean | Promise<boolean>,
  deadlineMs = patienceMs,
): Promise<void> => {
  const end = performance.now() + deadlineMs
  while (!(await holds())) {
    assert.ok(performance.now() < end, `in vain: ${typeof what === "string" ? what : what()}`)
    await pause(20)
  }
}

/** Whether somebody listens there. */
export const answers = (endpoint: string): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port } = new URL(endpoint)
    const socket = connect(Number(port), hostname)
    socket.on("connect", () => (socket.destroy(), resolve(true))).on("error", () => resolve(false))
  })
