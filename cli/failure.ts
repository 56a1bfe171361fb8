import { shellQuote } from "./quote.ts"

/** A root who did not come by sudo, as on a fresh Debian, may have none: the command without it. */
export const forThisUser = (
  command: string,
  byItself = process.getuid?.() === 0 && process.env.SUDO_UID === undefined,
): string => (byItself ? command.replaceAll(/(^|&& |\|\| )sudo /g, "$1") : command)

/**
 * An end of a command that its user can do something about. `main.ts` prints the message and then the lines of `mend`,
 * commands to type, and exits with `exitCode`: 1 something failed, 2 usage, 3 missing privilege or package, 4 port,
 * home or addresses in use.
 */
export class Failure extends Error {
  readonly exitCode: 1 | 2 | 3 | 4
  readonly mend: readonly string[]
  constructor(exitCode: 1 | 2 | 3 | 4, message: string, mend: string | readonly string[]) {
    super(message)
    this.name = "Failure"
    this.exitCode = exitCode
    this.mend = (typeof mend === "string" ? [mend] : mend).map((command) => forThisUser(command))
  }
}

/** How the user called us, for the commands that a message tells them to type. */
export const program = shellQuote(process.env.FRACTUS_PROGRAM ?? "./fractus")

/** Something that the contract names and this release does not have. */
export const notYet = (what: string): Failure =>
  new Failure(2, `not yet: ${what} is not built in this release`, `${program} --help`)

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The system's error code (ENOENT, EACCES, ...) of whatever was thrown. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined
