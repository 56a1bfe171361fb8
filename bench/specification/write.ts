/** `node bench/specification/write.ts`: rewrites the tables of SPECIFICATION.md and README.md from bench/results/*.json. */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import type { Report } from "../report/result.ts"
import { readmeTable, tables, withTables } from "./table.ts"

const root = new URL("../../", import.meta.url).pathname
const reports = globSync("bench/results/*.json", { cwd: root })
  .toSorted()
  .map((path): Report => JSON.parse(readFileSync(`${root}${path}`, "utf8")))
const rewrite = (name: string, generated: string): void =>
  writeFileSync(`${root}${name}`, withTables(readFileSync(`${root}${name}`, "utf8"), generated))
rewrite("SPECIFICATION.md", tables(reports))
rewrite("README.md", readmeTable(reports))
