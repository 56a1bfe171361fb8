/** `node bench/specification/write.ts`: rewrites the tables of SPECIFICATION.md from bench/results/*.json. */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import type { Report } from "../report/result.ts"
import { tables, withTables } from "./table.ts"

const root = new URL("../../", import.meta.url).pathname
const reports = globSync("bench/results/*.json", { cwd: root })
  .toSorted()
  .map((path): Report => JSON.parse(readFileSync(`${root}${path}`, "utf8")))
const path = `${root}SPECIFICATION.md`
writeFileSync(path, withTables(readFileSync(path, "utf8"), tables(reports)))
