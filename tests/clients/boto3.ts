/** boto3, in one Python process: a line of JSON in for each call, a line out. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Access, Answer, Client } from "./scenario/client.ts"

type Members = Readonly<Record<string, unknown>>

export interface Boto3 extends Client {
  /** At most `attempts` polls, a second apart. Never succeeding is an error with the code WaiterError. */
  wait(waiter: string, input: Members, attempts?: number): Promise<Answer>
  /** All pages of botocore's paginator. Throws for an error. */
  paginate(operation: string, input: Members, size: number): Promise<readonly Members[]>
  /** What botocore has for EC2: waiter -> operation, operation with a paginator -> member that it collects. */
  models(): Promise<Readonly<Record<"waiters" | "paginators", Readonly<Record<string, string>>>>>
}

/** The process ends with `close`, and by itself after `deadlineMs`. */
export function openBoto3(python: string, { env }: Access, deadlineMs = 80_000): Boto3 {
  const script = new URL("boto3_client.py", import.meta.url).pathname
  const child = spawn(python, [script], { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] })
  let said = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text))
  // A process that is gone shows in the answer that does not come.
  child.stdin.on("error", () => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const killer = setTimeout(() => child.kill("SIGKILL"), deadlineMs)
  const ask = async (command: string, args: object): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify([command, args])}\n`)
    const line = await lines.next()
    if (line.done === true) throw new Error(`boto3 ended: ${said}`)
    return JSON.parse(line.value)
  }
  const must = async (command: string, args: object): Promise<Members> => {
    const answer = await ask(command, args)
    if ("error" in answer) throw new Error(`${command} ${JSON.stringify(args)}: ${JSON.stringify(answer.error)}`)
    return answer.result
  }
  return {
    name: "boto3",
    call: ({ service, operation, input }) => ask("call", { service, operation, input }),
    wait: (waiter, input, attempts = 30) => ask("wait", { waiter, input, attempts }),
    paginate: async (operation, input, size) =>
      (await must("paginate", { operation, input, size }))["pages"] as readonly Members[],
    models: async () => (await must("models", {})) as Awaited<ReturnType<Boto3["models"]>>,
    async close() {
      clearTimeout(killer)
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, "exit")
      child.stdin.end()
      child.kill("SIGTERM")
      await ended
    },
  }
}
