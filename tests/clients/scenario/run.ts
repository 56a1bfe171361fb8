/** Runs the scenario with one client and writes down what it was told. */
import assert from "node:assert/strict"
import type { Answer, Client } from "./client.ts"
import { type Step, steps } from "./steps.ts"
import { normalise } from "./transcript.ts"

export interface Line {
  readonly operation: string
  readonly answer: Answer
}

/** The normalised transcript of the whole scenario. */
export async function runScenario(client: Client, settled: () => Promise<void>): Promise<readonly Line[]> {
  return normalise(await runSteps(client, settled, steps, new Map())) as readonly Line[]
}

/**
 * What was answered, as it came; what the steps keep is put into `kept`. Throws at the first step that does not end as it must.
 * `settled` waits until nothing is pending.
 */
export async function runSteps(
  client: Client,
  settled: () => Promise<void>,
  steps: readonly Step[],
  kept: Map<string, string>,
): Promise<readonly Line[]> {
  const lines: Line[] = []
  for (const step of steps) {
    if (step.settled === true) await settled()
    const answer = await runStep(client, step, kept)
    const failed = "error" in answer ? answer.error.code : undefined
    assert.equal(failed, step.fails, `${client.name}: ${step.operation} answered ${JSON.stringify(answer)}`)
    for (const [name, path] of Object.entries(step.keep ?? {})) kept.set(name, valueAt(answer, path))
    lines.push({ operation: step.operation, answer })
  }
  return lines
}

async function runStep(client: Client, step: Step, kept: ReadonlyMap<string, string>): Promise<Answer> {
  const input = filled(step.input, kept) as Step["input"]
  if (step.waits === true) return client.wait(step.operation, input)
  const request = { service: step.service ?? "ec2", operation: step.operation, input }
  return client.call(
    step.cli === undefined ? request : { ...request, cli: filled(step.cli, kept) as readonly string[] },
  )
}

function filled(value: unknown, kept: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return value.replace(/\$(\w+)/g, (all, name: string) => kept.get(name) ?? all)
  if (Array.isArray(value)) return value.map((each) => filled(each, kept))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, filled(each, kept)]))
}

function valueAt(answer: Answer, path: string): string {
  let value: unknown = "result" in answer ? answer.result : undefined
  for (const name of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[name]
  assert.ok(typeof value === "string", `${path} is no text in ${JSON.stringify(answer)}`)
  return value
}
