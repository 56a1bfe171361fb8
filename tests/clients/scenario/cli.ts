/** The AWS CLI, one process for each call as in a shell. */
import { execFile, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Access, Answer, Client } from "./client.ts"

const deadlineMs = 60_000

/** `version` as the CLI names itself, "1.45.11". */
export const openCli = (program: string, version: string, { endpoint, env }: Access): Client =>
  clientOf(`aws ${version}`, startRuns(program, version, env), ["--endpoint-url", endpoint])

/** The CLI that `fractus aws` finds, which leads it to the cloud of `home` by itself. */
export const openFractusAws = (fractus: string, home: string, version: string, { env }: Access): Client =>
  clientOf(`fractus aws ${version}`, plainRuns(fractus, env), ["aws", "--home", home])

/** `words` stand ahead of those of a call. */
function clientOf(name: string, runs: Runs, words: readonly string[]): Client {
  const run = async (...args: string[]): Promise<Answer> => {
    const { status, stdout, stderr } = await runs.run([...words, "--output", "json", ...args])
    if (status === 0) return { result: stdout.trim() === "" ? {} : JSON.parse(stdout) }
    const said =
      /An error occurred \(([\w.]+)\) when calling the \w+ operation(?: \(reached max retries: \d+\))?: (.*)/s.exec(
        stderr,
      )
    if (said === null) throw new Error(`${name} ${args.join(" ")} ended with ${status}\n${stderr}`)
    return { error: { code: said[1] ?? "", message: (said[2] ?? "").trim() } }
  }
  return {
    name,
    call: ({ service, operation, input, cli }) => run(service, kebab(operation), ...(cli ?? optionsOf(input))),
    async wait(waiter, input) {
      const answer = await run("ec2", "wait", kebab(waiter), ...optionsOf(input))
      return "result" in answer ? { result: { state: "SUCCESS" } } : answer
    },
    close: () => runs.close(),
  }
}

export interface Runs {
  run(args: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }>
  close(): Promise<void>
}

/** A release that is a module of a Python here is forked from one process, since loading it is most of a call's CPU. */
export function startRuns(program: string, version: string, env: Readonly<Record<string, string>>): Runs {
  const python = interpreterOf(version)
  return python === undefined ? plainRuns(program, env) : forkedRuns(python, env)
}

/** The interpreter that has this release of the CLI as a module; none for the one that brings its own. */
function interpreterOf(version: string): string | undefined {
  const script = "import awscli; print(awscli.__version__)"
  return ["python3", "/usr/bin/python3"].find(
    (name) => spawnSync(name, ["-c", script], { encoding: "utf8", timeout: 30_000 }).stdout?.trim() === version,
  )
}

const plainRuns = (program: string, env: Readonly<Record<string, string>>): Runs => ({
  run: (args) =>
    new Promise((resolve) => {
      execFile(program, args, { env: { ...env }, timeout: deadlineMs }, (error, stdout, stderr) =>
        resolve({ status: error === null ? 0 : 1, stdout, stderr: `${stderr}${error?.message ?? ""}` }),
      )
    }),
  close: async () => {},
})

/** By cli_starter.py. It ends with `close`, and by itself when this process does. */
function forkedRuns(python: string, env: Readonly<Record<string, string>>): Runs {
  const script = new URL("cli_starter.py", import.meta.url).pathname
  const child = spawn(python, [script], { env: { ...env }, stdio: ["pipe", "pipe", "inherit"] })
  // A process that is gone shows in the answer that does not come.
  child.stdin.on("error", () => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async run(args) {
      const killer = setTimeout(() => child.kill("SIGKILL"), deadlineMs)
      child.stdin.write(`${JSON.stringify(args)}\n`)
      const line = await lines.next()
      clearTimeout(killer)
      if (line.done === true) throw new Error(`the AWS CLI did not answer ${args.join(" ")} in ${deadlineMs} ms`)
      const [status, stdout, stderr] = JSON.parse(line.value)
      return { status, stdout, stderr }
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, "exit")
      child.stdin.end()
      await ended
    },
  }
}

const kebab = (name: string) => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase()

function optionsOf(input: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(input).flatMap(([name, value]) => {
    const option = kebab(name)
    if (typeof value === "boolean") return [value ? `--${option}` : `--no-${option}`]
    return [`--${option}`, typeof value === "string" ? value : JSON.stringify(value)]
  })
}
