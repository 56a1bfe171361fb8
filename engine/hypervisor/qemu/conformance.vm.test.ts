import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { systemClock } from "#lib/clock.ts"
import { conformance } from "../conformance.ts"
import { openQemu } from "./driver.ts"
import { tinySpec } from "./tiny-guest.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-hv-"))
const prefix = path.basename(home)
const runDirectory = path.join(home, "run")
const stateDirectory = path.join(home, "state")
mkdirSync(stateDirectory)

conformance({
  name: "qemu",
  open: () => openQemu({ runDirectory, stateDirectory, prefix, clock: systemClock(), log: () => {} }),
  spec: async (id, behaviour) => tinySpec(id, path.join(home, `${id}.raw`), behaviour),
  greeting: (id) => `hello from ${id}`,
  machinesOutliveUs: true,
  cleanUp: async () => rmSync(home, { recursive: true, force: true }),
})
