/**
 * ansible's amazon.aws, as Debian has it (package ansible), runs tests/vm/ansible/guest.yml against a real guest. Its waiters ask every
 * 15 s, so it takes minutes.
 */
import assert from "node:assert/strict"
import { execFile, spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { test } from "node:test"
import type { Credentials } from "#daemon/home-records.ts"
import { environment } from "#tests/rig/daemon.ts"
import { type Cloud, type Ended, startCloud } from "./cloud.ts"
import { wrongIn } from "./orphans.ts"

const playbook = new URL("ansible/guest.yml", import.meta.url).pathname
const deadlineMs = 900_000

test("ansible launches, finds, enters, tags, stops, starts and ends a guest", async (t) => {
  const { stdout, status } = spawnSync("ansible", ["--version"], { encoding: "utf8", timeout: 60_000 })
  assert.equal(status, 0, "there is no ansible: apt-get install --no-install-recommends ansible")
  t.diagnostic(stdout.split("\n")[0] ?? "")
  const cloud = await startCloud(t, 5481)
  const { status: code, output } = await play(cloud)
  assert.equal(code, 0, output)
  // Every task ran: none was skipped for want of hosts.
  const ran = [...output.matchAll(/ : ok=(\d+) /g)].reduce((sum, [, ok]) => sum + Number(ok), 0)
  assert.equal(ran, readFileSync(playbook, "utf8").match(/^ {4}- name: /gm)?.length, output)
  assert.deepEqual(await wrongIn(cloud), [])
})

/** The system's ansible with the system's Python and boto3; everything that it writes goes below the cloud's folder. */
function play({ home, port }: Cloud): Promise<Ended> {
  const credentials = JSON.parse(readFileSync(join(home, "credentials.json"), "utf8")) as Credentials
  const folder = dirname(home)
  const env = {
    ...environment(`http://127.0.0.1:${port}`, home, credentials),
    PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: folder,
    ANSIBLE_LOCAL_TEMP: join(folder, "ansible"),
    ANSIBLE_LOCALHOST_WARNING: "false",
    ANSIBLE_NOCOLOR: "true",
    ANSIBLE_SSH_CONTROL_PATH_DIR: join(folder, "cp"),
  }
  return new Promise((resolve) => {
    const words = [playbook, "--extra-vars", JSON.stringify({ folder })]
    execFile("ansible-playbook", words, { env, timeout: deadlineMs, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1
      resolve({ status: code, output: `${stdout}${stderr}` })
    })
  })
}
