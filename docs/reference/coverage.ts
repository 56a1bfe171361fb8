/**
 * coverage.md and coverage.json: every operation that the pinned SDK knows, and whether it is done. Done is what has a handler and a check
 * in tests/clients/operations, which calls it over the wire.
 */
import { services } from "#tests/clients/operations/checks.ts"
import { loadSchemas } from "#wire/schema/load.ts"
import { table } from "./markdown.ts"

/** What an operation that is done leaves out, where it can be felt and not refused. */
const leftOut: Readonly<Record<string, string>> = {
  AssociateInstanceEventWindow: "no events are scheduled",
  EnableFastLaunch: "a warm template for t3.micro, of images whose guests have Fractus' agent; clones are kept running where TargetResourceCount is given",
  ModifyDefaultCreditSpecification: "CPU is not throttled by standard credits",
  ModifyInstanceCreditSpecification: "CPU is not throttled by standard credits",
  ModifyInstanceMaintenanceOptions: "nothing recovers an instance, whatever is set",
  MonitorInstances: "there are no metrics yet",
}
const doneAs = (operation: string) =>
  Object.hasOwn(leftOut, operation) ? `done; ${leftOut[operation]}` : "done"

interface Coverage {
  readonly name: string
  readonly title: string
  readonly version: string
  readonly refusal: string
  readonly done: readonly string[]
  readonly notDone: readonly string[]
}

async function coverageOf({ name, title, version, handlers, checks, refusal }: (typeof services)[number]): Promise<Coverage> {
  const all = Object.keys(await loadSchemas(name)).toSorted()
  const isDone = (operation: string) => Object.hasOwn(handlers, operation) && Object.hasOwn(checks, operation)
  const untested = Object.keys(handlers).filter((operation) => !isDone(operation))
  if (untested.length > 0) throw new Error(`no check over the wire: ${untested.join(", ")}`)
  return {
    name,
    title,
    version,
    refusal,
    done: all.filter(isDone),
    notDone: all.filter((operation) => !isDone(operation)),
  }
}

/** File name -> text. Throws for a handler that no check calls. */
export async function coverage(): Promise<Readonly<Record<string, string>>> {
  const all = await Promise.all(services.map(coverageOf))
  return { "coverage.md": asMarkdown(all), "coverage.json": asJson(all) }
}

function asMarkdown(all: readonly Coverage[]): string {
  const summary = all.map(({ title, version, done, notDone }) => [
    title,
    version,
    String(done.length),
    String(done.length + notDone.length),
  ])
  const sections = all.map(({ title, refusal, done, notDone }) => {
    const rows = [...done, ...notDone]
      .toSorted()
      .map((operation) => [operation, done.includes(operation) ? doneAs(operation) : `not done: \`${refusal}\``])
    return `## ${title}\n\n${table(["operation", "state"], rows)}`
  })
  return (
    [
      "# Operations",
      `Done is an operation that has a handler and is called over the wire by \`tests/clients/operations.test.ts\`. Every other one answers \`UnsupportedOperation\` (400; S3: \`NotImplemented\`, 501) and its name, whatever it is given; parameters and values that a done operation does not take are refused by name too.`,
      table(["service", "API version", "done", "operations"], summary),
      ...sections,
      "",
    ]
      .join("\n\n")
      .trimEnd() + "\n"
  )
}

function asJson(all: readonly Coverage[]): string {
  const entries = all.map(({ name, version, refusal, done, notDone }) => [
    name,
    {
      version,
      done: done.length,
      total: done.length + notDone.length,
      operations: Object.fromEntries(
        [...done, ...notDone].toSorted().map((operation) => [operation, done.includes(operation) ? "done" : refusal]),
      ),
    },
  ])
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`
}
