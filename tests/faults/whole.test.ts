import assert from "node:assert/strict"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"
import { homeFiles } from "#daemon/config.ts"
import { microImage } from "#images/catalog.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { createClient } from "./client.ts"
import { brokenIn } from "./whole.ts"

const damages: readonly (readonly [sql: string, seen: RegExp])[] = [
  ["delete from resource where id like 'vol-%'", /vol-\w+ of i-\w+ is not attached to it/],
  ["delete from resource where id like 'eni-%'", /eni-\w+ of i-\w+ is not attached to it/],
  ["delete from resource where id like 'i-%'", /vol-\w+ is an orphan/],
  ["delete from claim where scope like 'subnet/%'", /eni-\w+ does not hold [\d.]+/],
  ["insert into claim values ('public-address', '1', 'eni-gone', 1)", /public-address 1 is left over/],
  ["delete from assignment where kind = 'guest'", /i-\w+ is running, assigned: false/],
  ["update assignment set spec = json_set(spec, '$.power', 'off') where kind = 'guest'", /the host's wish is off/],
]

test("each way of being half made is seen", async (t) => {
  const daemon = await startSimDaemon({ auth: "off" })
  t.after(() => daemon.stop())
  const client = createClient(daemon.endpoint)
  t.after(() => client.close())
  await client.ok("RunInstances", { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 })
  await daemon.settled()
  assert.deepEqual(brokenIn(daemon.home), [])
  await daemon.kill9()
  for (const [damage, seen] of damages) {
    const db = new DatabaseSync(join(homeFiles(daemon.home).store, "store.sqlite"))
    try {
      db.exec(`begin; ${damage}`)
      assert.match(brokenIn(daemon.home, db).join("\n"), seen)
      db.exec("rollback")
    } finally {
      db.close()
    }
  }
})
