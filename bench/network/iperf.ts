/** iperf3 in namespaces. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { run } from "#engine/network/linux/command.ts"
import { inside } from "#engine/network/linux/namespaces.ts"
import type { Path } from "./bare-path.ts"

/** Resolves once it listens. */
export async function startServer(namespace: string, address: string): Promise<{ close(): Promise<void> }> {
  const words = ["iperf3", "--server", "--forceflush", "--bind", address]
  const [program = "", ...args]: readonly string[] = [...inside(namespace), ...words]
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
  const ended = once(child, "exit")
  const listening = Promise.race([
    once(child.stdout, "data"),
    ended.then(() => {
      throw new Error("iperf3 ended before it listened")
    }),
  ])
  await listening
  child.stdout.resume()
  return {
    async close() {
      child.kill("SIGKILL")
      await ended
    },
  }
}

/** Bits per second that the server received over one connection. Throws when iperf3 fails. */
export async function throughput({ client, address }: Path, seconds: number): Promise<number> {
  const argv = [...inside(client), "iperf3", "--client", address, "--time", String(seconds), "--json"]
  const text = await run(argv, { deadlineMs: (seconds + 20) * 1000 })
  const { end }: { end?: { sum_received?: { bits_per_second?: number } } } = JSON.parse(text)
  const bits = end?.sum_received?.bits_per_second
  if (bits === undefined || !(bits > 0)) throw new Error("iperf3 received nothing")
  return bits
}
