/** `up` that is ended in the middle, at every moment that it shows, and run again. apt's moments are in tests/vm/fresh.long.test.ts. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { playMachine, program } from "./machine.ts"

const up = `${program} up --yes --no-profile --port 5440`

/** Starts `up`, does something to it (`$pid`) as soon as it says `line`, and gives how it ended: 128 and the signal. */
const endAt = (line: string, action: string): string =>
  `mkfifo said; env --default-signal=INT ${up} > /dev/null 2> said & pid=$!
{ found=no
while [ $found = no ] && read -r text; do case "$text" in *'${line}'*) found=yes;; esac; done; ${action}; cat > /dev/null; } < said
rm said; wait $pid; ended=$?; [ $found = yes ] && echo $ended || echo "never said: ${line}"`

test("an up that was ended anywhere is gone on with by the next", async (t) => {
  const machine = await playMachine(t, { odd: "rm -rf /var/lib/fractus; userdel fractus || true" })
  const ends = async (line: string, action: string) => (await machine.must(endAt(line, action))).trim()
  const image = "putting the image into the home"
  assert.equal(await ends(image, "kill -INT $pid"), "130")
  // It may have been put there whole before the signal came.
  await machine.must("rm -rf /var/lib/fractus/images")
  assert.equal(await ends(image, "kill -KILL $pid"), "137")
  // Ours and the daemon at its start: what that had made on the machine stays.
  const both = 'kill -KILL $pid $(pgrep -f "[d]aemon/main.ts")'
  assert.equal(await ends("Waiting for the daemon", both), "137")
  // Only ours: the daemon goes on, and the next run waits for it instead of starting another.
  assert.equal(await ends("Waiting for the daemon", "kill -KILL $pid"), "137")
  const again = await machine.run(up)
  assert.equal(again.status, 0, again.output)
  assert.match(again.stderr, /Another run has started a daemon \(pid \d+\)/)
  const { ok, checks } = JSON.parse(await machine.must(`${program} doctor --json`))
  assert.ok(ok, JSON.stringify(checks))
  assert.equal(
    (await machine.must('pgrep -fc "[d]aemon/main.ts"')).trim(),
    "1",
    "one daemon, whatever was started before",
  )
  // A down that comes as early waits too, and leaves nothing running.
  await machine.must(`${program} down`)
  assert.equal(await ends("Waiting for the daemon", "kill -KILL $pid"), "137")
  await machine.must(`${program} down`)
  assert.equal(
    (await machine.must('ls /run/netns; ip -br link; nft list tables; pgrep -fa "[d]aemon/" || true')).match(
      /fr0|daemon/,
    ),
    null,
  )
})
