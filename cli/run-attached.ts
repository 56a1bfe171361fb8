import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { constants } from "node:os"

/**
 * Whether the terminal's keys reach us, and with us what we run: our process group is the one in its foreground (fields pgrp and
 * tpgid of /proc/PID/stat).
 */
const keysReachUs = (): boolean => {
  const stat = readFileSync("/proc/self/stat", "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields[2] === fields[5]
}

/** Passed on to what we run, unless they are a terminal's keys, which it has felt already. */
const keys = ["SIGINT", "SIGQUIT"] as const
const others = ["SIGTERM", "SIGHUP"] as const

/**
 * Runs a program on our terminal and takes over its exit code (128 + number for a signal, as shells do). Signals that come to
 * us are passed on, and we stay until it ends. Rejects with the system's error when it cannot be started (ENOENT, EACCES).
 */
export const runAttached = (
  file: string,
  argv: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<void> =>
  new Promise((resolve, reject) => {
    const pass = (signal: NodeJS.Signals): boolean => child.kill(signal)
    const passUnlessKey = (signal: NodeJS.Signals): boolean => keysReachUs() || pass(signal)
    // Before it runs: what it says may make somebody send a signal at once, which must not end us alone.
    for (const signal of keys) process.on(signal, passUnlessKey)
    for (const signal of others) process.on(signal, pass)
    const child = spawn(file, argv, { ...options, stdio: "inherit" })
    const settle = (end: () => void): void => {
      for (const signal of keys) process.off(signal, passUnlessKey)
      for (const signal of others) process.off(signal, pass)
      end()
    }
    child.on("error", (error) => settle(() => reject(error)))
    child.on("exit", (code, signal) => {
      process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal]
      settle(resolve)
    })
  })
