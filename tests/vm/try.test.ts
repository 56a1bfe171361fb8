/** `fractus try --engine qemu`: a throwaway cloud of real guests goes whole, however those who asked for it end. */
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { startTimeOf } from "#lib/claim.ts"
import { openRig, until } from "#cli/try/rig.ts"
import { root } from "../style/tree.ts"
import { leftOf } from "./orphans.ts"

/** Prints the home, the slot's number and the cloud's processes, and waits to be ended. */
const wait = `pids=$(./fractus status --json | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p' | tr '\\n' ' ')
  echo "$FRACTUS_HOME $(cat "$FRACTUS_HOME/slot") $$ $pids"; exec sleep 300`
const launch = `image=$(./fractus aws ec2 describe-images --owners self amazon --query 'Images[0].ImageId' --output text)
  ./fractus aws ec2 run-instances --image-id $image --instance-type t3.nano >/dev/null
  until ./fractus status --json | grep -q '"running"'; do sleep 0.2; done`

/** False once another home of this machine has taken the number: it gets one only when nothing of before is there. */
const hasSlot = (slot: string, home: string): boolean => {
  const holder = `/run/fractus/slots/${slot}/holder.json`
  return !existsSync(holder) || JSON.parse(readFileSync(holder, "utf8")).home === home
}

test("guests, networks and files go with the command, with us, and with the next run when the host was killed too", async (t) => {
  const rig = openRig(t)
  const started = async (script: string) => {
    const running = rig.tryOut(["--engine", "qemu", "--", "sh", "-ec", script], { cwd: root })
    const [home = "", slot = "", command = "", ...pids] = (await running.line(200_000)).trim().split(" ")
    const { pid }: { pid: number } = JSON.parse(readFileSync(join(home, "daemon.json"), "utf8"))
    const processes = pids.map(Number).map((each) => ({ pid: each, startTime: startTimeOf(each) }))
    const left = () => [
      ...(existsSync(home) ? [home] : []),
      ...processes.filter((each) => startTimeOf(each.pid) === each.startTime).map((each) => `process ${each.pid}`),
      ...(hasSlot(slot, home) ? leftOf({ prefix: `fr${slot}`, run: `/run/fractus/${slot}`, home }) : []).filter(
        // A container that shows us its processes has the same folders.
        (line) => !line.startsWith("process "),
      ),
    ]
    assert.ok(processes.length >= 4 && left().length > processes.length, left().join("\n"))
    return { running, command: Number(command), host: pid, left }
  }
  const gone = ({ left }: Awaited<ReturnType<typeof started>>) =>
    until(
      () => `gone: ${left().join(", ")}`,
      () => left().length === 0,
    )

  const first = await started(`${launch}; ${wait}`)
  first.running.child.kill("SIGKILL")
  process.kill(first.command, "SIGKILL")
  await gone(first)

  const second = await started(wait)
  second.running.child.kill("SIGSTOP")
  process.kill(second.host, "SIGKILL")
  second.running.child.kill("SIGKILL")
  process.kill(second.command, "SIGKILL")
  await second.running.ended
  assert.notDeepEqual(second.left(), [], "nothing was left to sweep")
  const third = await rig.tryOut(["--engine", "qemu", "--", "sh", "-c", "exit 9"]).ended
  assert.equal(third.code, 9, third.stderr)
  await gone(second)
  assert.deepEqual(rig.left(), [])
})
