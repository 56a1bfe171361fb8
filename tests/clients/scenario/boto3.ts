/** boto3, in one Python process: a line of JSON in for each call, a line out. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { SimDaemon } from "#tests/rig/daemon.ts"
import type { Answer, Client } from "./client.ts"

const deadlineMs = 60_000

export function openBoto3(python: string, { env }: SimDaemon): Client {
  const script = new URL("boto3_client.py", import.meta.url).pathname
  const child = spawn(python, [script], { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] })
  let said = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const killer = setTimeout(() => child.kill("SIGKILL"), deadlineMs)
  const ask = async (request: object): Promise<Answer> => {
    child.stdin.write(`${JSON.stringify(request)}\n`)
    const line = await lines.next()
    if (line.done === true) throw new Error(`boto3 ended: ${said}`)
    return JSON.parse(line.value)
  }
  return {
    name: "boto3",
    call: ({ service, operation, input }) => ask({ service, operation, input }),
    wait: (waiter, input) => ask({ waiter, input }),
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
