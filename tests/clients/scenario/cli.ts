/** The AWS CLI, one process for each call as in a shell. */
import { execFile } from "node:child_process"
import type { Access, Answer, Client } from "./client.ts"

const deadlineMs = 60_000

/** `words` stand ahead of the service: by default those that lead an `aws` to the endpoint. */
export function openCli(
  name: string,
  program: string,
  { endpoint, env }: Access,
  words: readonly string[] = ["--endpoint-url", endpoint],
): Client {
  const run = (...args: string[]) =>
    new Promise<Answer>((resolve, reject) => {
      const all = [...words, "--output", "json", ...args]
      execFile(program, all, { env: { ...env }, timeout: deadlineMs }, (error, stdout, stderr) => {
        if (error === null) return resolve({ result: stdout.trim() === "" ? {} : JSON.parse(stdout) })
        const said =
          /An error occurred \(([\w.]+)\) when calling the \w+ operation(?: \(reached max retries: \d+\))?: (.*)/s.exec(
            stderr,
          )
        if (said === null) return reject(new Error(`${name} ${args.join(" ")}: ${error.message}\n${stderr}`))
        resolve({ error: { code: said[1] ?? "", message: (said[2] ?? "").trim() } })
      })
    })
  return {
    name,
    call: ({ service, operation, input, cli }) => run(service, kebab(operation), ...(cli ?? optionsOf(input))),
    async wait(waiter, input) {
      const answer = await run("ec2", "wait", kebab(waiter), ...optionsOf(input))
      return "result" in answer ? { result: { state: "SUCCESS" } } : answer
    },
    async close() {},
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
