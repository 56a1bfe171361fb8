import { spawn } from "node:child_process"
import { constants } from "node:os"

const ignore = (): void => undefined

/**
 * Runs a program on our terminal and takes over its exit code (128 + number for a signal, as shells do). Ctrl-C reaches
 * it by itself; a SIGTERM that comes to us is passed on.
 */
export const runAttached = (
  file: string,
  argv: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(file, argv, { ...options, stdio: "inherit" })
    const terminate = (): boolean => child.kill("SIGTERM")
    process.on("SIGTERM", terminate)
    process.on("SIGINT", ignore)
    child.on("error", reject)
    child.on("exit", (code, signal) => {
      process.off("SIGTERM", terminate)
      process.off("SIGINT", ignore)
      process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal]
      resolve()
    })
  })
