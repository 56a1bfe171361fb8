/**
 * Makes the golden home of this release: a store as this release writes it, and what it holds. Run once, at the release:
 * `node store/golden/make.ts`. A home that is there is never made anew: later releases must open it as it is.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { resource } from "../conformance/subject.ts"
import { openSqliteStore } from "../sqlite/open.ts"
import { contents } from "./contents.ts"

const { version }: { version: string } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"),
)
const folder = join(import.meta.dirname, version)
if (existsSync(folder)) throw new Error(`${folder} is there already`)
const directory = mkdtempSync(join(tmpdir(), "fractus-golden-"))
const store = await openSqliteStore({ directory })

const instances = [1, 2, 3, 4].map((at) =>
  resource(`i-${at}`, {
    account: at === 4 ? "222" : "111",
    record: { at, name: "Grüße", list: [null, true, 0.5], large: at === 2 ? "x".repeat(10_000) : "" },
    facets: { "instance-state-name": [at === 3 ? "stopped" : "running"], "tag:Name": [`web-${at}`, "t*g"] },
  }),
)
const event = { atMs: 1_763_700_000_000, kind: "created", account: "111", region: "here" }
await store.commit({
  put: [resource("vpc-1", { kind: "vpc" }), ...instances, resource("v-1", { kind: "volume", schema: 2 })],
  link: [
    { from: "i-1", to: "vpc-1", role: "blocks" },
    { from: "v-1", to: "i-1", role: "owned" },
    { from: "i-1", to: "img-gone", role: "mentions" },
  ],
  claim: [
    { scope: "address", key: "10.0.0.4", owner: "i-1" },
    { scope: "number", key: "1", owner: "i-1" },
    { scope: "number", key: "2", owner: "i-2" },
  ],
  assign: [
    { host: "host-1", resource: "i-1", kind: "instance", spec: { vcpus: 2 } },
    { host: "host-1", resource: "v-1", kind: "volume", spec: [] },
  ],
  event: [{ ...event, subject: "i-1", detail: { state: ["pending", null] } }],
})
await store.commit({
  expect: [["i-2", 1]],
  put: [
    resource("i-2", { record: { changed: true }, facets: { "instance-state-name": ["running"], "tag:Name": ["web"] } }),
  ],
  delete: ["i-3"],
  unassign: [{ host: "host-1", resource: "v-1" }],
  event: [{ ...event, subject: "i-2", detail: "changed" }],
})
const held = await contents(store)
await store.close()

mkdirSync(folder)
copyFileSync(join(directory, "store.sqlite"), join(folder, "store.sqlite"))
writeFileSync(join(folder, "contents.json"), `${JSON.stringify(held, null, 2)}\n`)
rmSync(directory, { recursive: true })
