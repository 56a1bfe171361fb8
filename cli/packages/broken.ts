/** Programs that are here and do not run: a half-installed package, a library that is gone, a file of another machine. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { basename } from "node:path"
import type { Need } from "./needs.ts"

/** `said` is the last line of what it said, or how it ended. */
export type Broken = { package: string; program: string; said: string }

const versionWord: Readonly<Record<string, string>> = { ip: "-V", mke2fs: "-V", ssh: "-V" }
const deadlineMs = 10_000

/** Undefined when it tells its version. */
const tryProgram = (file: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const settings = { timeout: deadlineMs, killSignal: "SIGKILL", encoding: "utf8" } as const
    execFile(file, [versionWord[basename(file)] ?? "--version"], settings, (error, _, stderr) => {
      if (error === null) return resolve(undefined)
      if (error.killed === true) return resolve(`no answer within ${deadlineMs / 1000} s`)
      const last = stderr.trim().split("\n").at(-1) ?? ""
      resolve(last === "" ? `exit ${error.code ?? error.signal}` : last)
    }).stdin?.end()
  })

/** Asks every program of these packages for its version, all at once; a tenth of a second. What is not there is not told. */
export const brokenPrograms = async (needs: readonly Need[]): Promise<Broken[]> => {
  const programs = needs.flatMap((need) => {
    const file = need.files.find((each) => /\/s?bin\//.test(each) && existsSync(each))
    return file === undefined ? [] : [{ package: need.package, file }]
  })
  const tried = await Promise.all(
    programs.map(async (each) => ({ package: each.package, program: each.file, said: await tryProgram(each.file) })),
  )
  return tried.flatMap(({ said, ...rest }) => (said === undefined ? [] : [{ ...rest, said }]))
}
