import { relative } from "node:path"
import { spec } from "node:test/reporters"
import { run, type RunOptions } from "node:test"
import { inspect } from "node:util"
import { compiledFolder } from "../compiled.ts"
import { repository } from "../repository.ts"
import { concurrency, deadlineMs, filesOf, runsAlone, type SuiteName } from "./suites.ts"

/** What one suite came to. Cancelled tests count as failed; todo ones as skipped. */
export type SuiteResult = {
  name: SuiteName
  files: number
  passed: number
  failed: number
  skipped: number
  durationMs: number
  /** Each file's own time, as far as it came. */
  times: FileTime[]
  /** What failed, of nested tests the innermost, with the error as Node shows it. */
  failures: FailedTest[]
}

export type FileTime = { file: string; durationMs: number }
export type FailedTest = { test: string; file: string; error: string }

/** Runs test files with Node's own runner, its report going to `output`: first those that may run side by side. */
export const runFiles = async (
  name: SuiteName,
  files: readonly string[],
  output: NodeJS.WritableStream,
  cwd = repository,
): Promise<SuiteResult> => {
  const started = performance.now()
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const result: SuiteResult = { name, files: files.length, ...counts, durationMs: 0, times: [], failures: [] }
  // Every file is a process of its own: most of a short one's time is the compiling of what it imports.
  // And a cloud of a test builds no image in the background, unless the test asks for it.
  const env = { ...process.env, NODE_COMPILE_CACHE: compiledFolder(), FRACTUS_IMAGES: "first" }
  const add = (part: string[], atOnce: number) =>
    part.length > 0
      ? addRun(result, { files: part, cwd, env, concurrency: atOnce, timeout: deadlineMs[name] }, output)
      : null
  await add(
    files.filter((path) => !runsAlone(path)),
    concurrency[name],
  )
  await add(files.filter(runsAlone), 1)
  result.durationMs = Math.round(performance.now() - started)
  return result
}

async function addRun(result: SuiteResult, options: RunOptions, output: NodeJS.WritableStream): Promise<void> {
  const events = run(options)
  let summaries = 0
  events.on("test:summary", ({ counts, file, duration_ms: durationMs }) => {
    if (file !== undefined) {
      result.times.push({ file: relative(options.cwd ?? "", file), durationMs: Math.round(durationMs) })
      return // one per file, then one over all
    }
    summaries++
    result.passed += counts.passed
    result.failed += counts.tests - counts.passed - counts.skipped - counts.todo
    result.skipped += counts.skipped + counts.todo
  })
  events.on("test:fail", ({ name, file, details: { error } }) => {
    if (failureType(error) === "subtestsFailed") return // they are told themselves
    const cause = error.cause ?? error
    const said = typeof cause === "string" ? cause : inspect(cause)
    result.failures.push({
      test: name,
      file: relative(options.cwd ?? "", file ?? ""),
      error: said.slice(0, longestError),
    })
  })
  const report = events.compose(spec)
  for await (const chunk of report) output.write(String(chunk))
  if (summaries === 0) result.failed++ // the runner itself broke off
}

const longestError = 8_000

const failureType = (error: Error): unknown => ("failureType" in error ? error.failureType : undefined)

/** Runs one suite of the repository. */
export const runSuite = (name: SuiteName, output: NodeJS.WritableStream): Promise<SuiteResult> =>
  runFiles(name, filesOf(name), output)
