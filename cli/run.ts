import { CommanderError } from "commander"
import { codeOf, Failure, messageOf, program } from "./failure.ts"
import { buildProgram } from "./program.ts"
import { coloured, note } from "./terminal.ts"

const report = (message: string, mend: readonly string[]): void => {
  note(`${coloured("red", "fractus:", process.stderr)} ${message}`)
  const [first, ...others] = mend
  if (first === undefined) return
  note(`To mend it: ${first}`)
  for (const line of others) note(`        or: ${line}`)
}

/** Says what went wrong and gives the exit code. Anything unforeseen is exit 1 with its stack, for a report. */
export const exitCodeOf = (error: unknown): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2 // commander has said it already
  if (error instanceof Failure) {
    report(error.message, error.mend)
    return error.exitCode
  }
  const code = codeOf(error)
  const message = messageOf(error)
  if (code === "EACCES" || code === "EPERM") {
    report(message, [`sudo ${program} ${process.argv.slice(2).join(" ")}`])
    return 3
  }
  if (code === "ENOSPC") {
    report(message, ["df -h", `free some space, then: ${program} ${process.argv.slice(2).join(" ")}`])
    return 1
  }
  report(error instanceof Error ? (error.stack ?? message) : message, [`${program} doctor`])
  return 1
}

/** A reader that has read enough, as `head`, is no failure: the command does its work and gives its own exit code. */
const bearReaderThatLeft = (): void => {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
      if (codeOf(error) !== "EPIPE") throw error
    })
  }
}

/** Runs one command line and sets the exit code. */
export const run = async (argv: readonly string[]): Promise<void> => {
  bearReaderThatLeft()
  try {
    await buildProgram().parseAsync(argv, { from: "user" })
  } catch (error) {
    process.exitCode = exitCodeOf(error)
  }
}
