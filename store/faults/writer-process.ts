/**
 * A process that changes a store without end and prints the number of each round once it is acknowledged, until it is
 * killed. Its argument is the folder. `kill.test.ts` kills it and looks at what is left.
 */
import { writeSync } from "node:fs"
import { openSqliteStore } from "../sqlite/open.ts"
import { resource } from "../conformance/subject.ts"

const [directory = ""] = process.argv.slice(2)
const store = await openSqliteStore({ directory })
const [last] = await store.claims("last")
let next = Number(last?.owner ?? 0)
writeSync(1, "open\n")

/** Several writers, so that groups hold more than one commit. Each commit makes a pair and removes an old one. */
async function write(): Promise<never> {
  for (;;) {
    next += 1
    const round = next
    const [instance, volume] = [`i-${round}`, `v-${round}`]
    await store.commit({
      put: [
        resource(instance, { record: { round, fill: "x".repeat(round % 3000) }, facets: { round: [String(round)] } }),
        resource(volume, { kind: "volume", record: { round }, facets: { of: [instance] } }),
      ],
      link: [{ from: volume, to: instance, role: "owned" }],
      delete: [`i-${round - 200}`],
      release: [{ scope: "last", key: "round" }],
      claim: [
        { scope: "round", key: String(round), owner: volume },
        { scope: "last", key: "round", owner: String(round) },
      ],
      assign: [{ host: "h", resource: instance, kind: "instance", spec: { round } }],
      unassign: [{ host: "h", resource: `i-${round - 200}` }],
      event: [{ atMs: round, kind: "created", subject: instance, account: "111", region: "here", detail: { round } }],
    })
    writeSync(1, `${round}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, write))
