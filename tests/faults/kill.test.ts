/** SIGKILL at random moments of concurrent calls. FRACTUS_FAULT_ROUNDS sets the rounds, FRACTUS_FAULT_SEED repeats a run's choices. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { microImage } from "#images/catalog.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { createClient } from "./client.ts"
import { countFrom, seeded, seedFrom } from "./random.ts"
import { brokenIn } from "./whole.ts"
import { createWorker } from "./worker.ts"

const rounds = countFrom("FRACTUS_FAULT_ROUNDS", 20)
const seed = seedFrom("FRACTUS_FAULT_SEED", 1_778_689_040)
const workersAtOnce = 6
const longestLifeMs = 250

const isCut = (error: unknown) =>
  error instanceof Error && "code" in error && ["ECONNRESET", "ECONNREFUSED", "EPIPE"].includes(String(error.code))

test(`nothing answered is lost and nothing is half made by ${rounds} kills (seed ${seed})`, async (t) => {
  const random = seeded(seed)
  const daemon = await startSimDaemon({ auth: "off", simSpeed: 200 })
  t.after(() => daemon.stop())
  const workers = Array.from({ length: workersAtOnce }, (_, index) =>
    createWorker(`w${index}`, seeded(seed + index + 1), microImage.id),
  )
  let cutOff = 0
  for (let round = 0; round < rounds; round++) {
    const client = createClient(daemon.endpoint)
    let killed = false
    const work = workers.map((worker) =>
      worker
        .work(client, () => killed)
        .catch((error: unknown) => {
          // Before the kill nothing may break; after it the connection may, and nothing else.
          if (!killed || !isCut(error)) throw error
          cutOff++
        }),
    )
    const watched = Promise.all(work)
    await Promise.race([watched, delay(random.below(longestLifeMs))])
    killed = true
    await daemon.kill9()
    await watched
    client.close()
    assert.deepEqual(brokenIn(daemon.home), [], `round ${round} of seed ${seed}, before the restart`)

    await daemon.restart()
    const after = createClient(daemon.endpoint)
    try {
      const found = await Promise.all(workers.map((worker) => worker.check(after)))
      assert.deepEqual(found.flat(), [], `round ${round} of seed ${seed}\n${daemon.log()}`)
      assert.deepEqual(brokenIn(daemon.home), [], `round ${round} of seed ${seed}, after it settled`)
      if (round % 20 === 19) await Promise.all(workers.map((worker) => worker.clear(after)))
    } finally {
      after.close()
    }
  }
  const answered = workers.reduce((sum, worker) => sum + worker.answered(), 0)
  t.diagnostic(`${answered} calls answered, ${cutOff} cut off by ${rounds} kills`)
  assert.ok(answered >= rounds, "hardly any call was answered: the kills came too early to show anything")
  assert.ok(cutOff >= rounds / 2, "hardly any call was cut off: the kills showed nothing")
})
