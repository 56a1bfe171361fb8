import { isRoot } from "../caller.ts"
import { Failure, program } from "../failure.ts"
import { coloured, note, print, printJson, table } from "../terminal.ts"
import { prepareSuites } from "../test-runs/needs.ts"
import { type FailedTest, type FileTime, runSuite, type SuiteResult } from "../test-runs/run.ts"
import { filesOf, hasGuests, type SuiteName, suiteNames, usualSuites } from "../test-runs/suites.ts"

const sum = (results: readonly SuiteResult[], member: "passed" | "failed" | "skipped"): number =>
  results.reduce((total, result) => total + result[member], 0)

/**
 * `fractus test [unit|api|vm|faults|long|all]...`. The last line on stdout is `N passed, N failed` over all suites that ran. Without root, and when
 * no suite or `all` is asked for, it runs the rest, says that the tests with real guests did not run, and exits 3: they are not skipped silently.
 */
export const test = async (
  asked: readonly (SuiteName | "all")[],
  options: { json?: boolean; yes?: boolean },
): Promise<void> => {
  const wanted =
    asked.length === 0 ? usualSuites : suiteNames.filter((name) => asked.includes(name) || asked.includes("all"))
  const named = asked.length > 0 && !asked.includes("all")
  const withoutGuests = !named && !isRoot()
  const suites = withoutGuests ? wanted.filter((name) => !hasGuests(name)) : wanted
  await prepareSuites(suites, options.yes === true)
  // Tests choose their own homes and keys; the caller's must not leak into them.
  for (const name of Object.keys(process.env)) if (/^(AWS_|FRACTUS_HOME$)/.test(name)) delete process.env[name]
  const results: SuiteResult[] = []
  for (const name of suites) {
    if (filesOf(name).length === 0) {
      if (named) throw new Failure(2, `not yet: this release has no ${name} tests`, `${program} test unit`)
      note(`${name}: this release has no such tests`)
      continue
    }
    note(coloured("bold", `${name} tests`, process.stderr))
    results.push(await runSuite(name, options.json === true ? process.stderr : process.stdout))
  }
  for (const { name, times } of results) if (hasGuests(name)) noteTimes(times)
  const [passed, failed, skipped] = [sum(results, "passed"), sum(results, "failed"), sum(results, "skipped")]
  for (const { failures } of results) for (const failure of failures) noteFailure(failure)
  if (skipped > 0) note(`${skipped} skipped`)
  if (withoutGuests)
    note(`The tests with real guests did not run: they need root. To run them: sudo ${program} test vm`)
  if (options.json === true) printJson({ suites: results, passed, failed, skipped })
  else print(`${passed} passed, ${failed} failed`)
  if (failed > 0 || passed === 0) process.exitCode = 1
  else if (withoutGuests) process.exitCode = 3
}

/** Once more at the end: thousands of lines may stand behind the place where it failed. */
const noteFailure = ({ test: name, file, error }: FailedTest): void =>
  note(`\n${coloured("red", "failed", process.stderr)} ${name} (${file})\n${error}\n`)

/** Guests take most of a run's time: which file took how much, the longest first. */
const noteTimes = (times: readonly FileTime[]): void => {
  const rows = times.toSorted((one, other) => other.durationMs - one.durationMs)
  note(table(rows.map(({ file, durationMs }) => [`${(durationMs / 1000).toFixed(1)} s`, file])))
}
