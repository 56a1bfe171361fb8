import { execFile } from "node:child_process"
import { createInterface } from "node:readline"

/** An image could not be built: says what is missing and what to do. */
export class ImageError extends Error {
  readonly code: "missing-tool" | "missing-packages" | "no-network" | "not-root" | "failed"
  constructor(code: ImageError["code"], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = "ImageError"
    this.code = code
  }
}

/**
 * Runs a program, never through a shell; gives what it printed. Ended after `timeoutMs` (two minutes).
 * Throws ImageError with the program's last words.
 * `onLine` hears each line of both outputs as it comes.
 */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; timeoutMs?: number; onLine?: (line: string) => void } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = {
      cwd: options.cwd,
      timeout: options.timeoutMs ?? 120_000,
      killSignal: "SIGKILL",
      maxBuffer: 16 * 1024 * 1024,
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    } as const
    const child = execFile(program, args, settings, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      if (error.code === "ENOENT") return reject(new ImageError("missing-tool", `${program} is not installed`))
      const words = stderr.trim().split("\n").slice(-3).join("; ")
      reject(new ImageError("failed", `${program} failed: ${words || error.message}`, { cause: error }))
    })
    const { onLine } = options
    if (onLine === undefined) return
    for (const input of [child.stdout, child.stderr]) if (input) createInterface({ input }).on("line", onLine)
  })
}
