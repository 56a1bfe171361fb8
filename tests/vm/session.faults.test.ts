/** An SSH session outlives SIGKILL of each of our processes in turn, and the gaps of metadata and names, seen from inside, are short. */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { test } from "node:test"
import { RunInstancesCommand } from "@aws-sdk/client-ec2"
import { inGuest, sshWords, startCloud, until } from "./cloud.ts"
import { wrongIn } from "./orphans.ts"

/** Longest time that metadata or names may be silent in a guest, milliseconds. */
const longestGapMs = 10_000

/** Both every 200 ms; a line per answer: what, the guest's uptime in seconds, how it went. */
const poll = `
request='GET /latest/meta-data/instance-id HTTP/1.0\\r\\nHost: 169.254.169.254\\r\\n\\r\\n'
id() { printf "$request" | timeout 2 nc -w 1 169.254.169.254 80 | grep -q ^i-; }
name() { timeout 1 nslookup -type=a "$(hostname)" 169.254.169.253; }
answers() { if "$2" >/dev/null 2>&1; then went=ok; else went=no; fi; echo "$1 $(cut -d' ' -f1 /proc/uptime) $went"; }
(while :; do answers imds id; usleep 200000; done) &
(while :; do answers dns name; usleep 200000; done) &
wait`

interface Sample {
  readonly what: string
  readonly atMs: number
  readonly ok: boolean
}

test("a session and its guest's metadata and names outlive kill -9 of host, API and guest-services in turn", async (t) => {
  const cloud = await startCloud(t, 5103)
  const launch = { ImageId: cloud.imageId, InstanceType: "t3.nano", KeyName: "test", MinCount: 1, MaxCount: 1 } as const
  await cloud.client.send(new RunInstancesCommand(launch))
  await cloud.settled()
  const [instance] = await cloud.instances()
  const address = instance?.PublicIpAddress ?? ""
  // The key comes after the server.
  await until("a login", 300_000, () => inGuest(cloud, address, "hostname").catch(() => undefined))
  const session = spawn("ssh", [...sshWords(cloud, address), poll], { stdio: ["ignore", "pipe", "pipe"] })
  t.after(() => session.kill("SIGKILL"))
  let text = ""
  session.stdout.setEncoding("utf8").on("data", (part: string) => (text += part))
  session.stderr.setEncoding("utf8").on("data", (part: string) => (text += part))

  const answers = (samples: readonly Sample[], what: string) => samples.filter((each) => each.what === what && each.ok)
  const more = async (why: string) => {
    const before = samplesIn(text).length
    const seen = async () => {
      assert.equal(session.exitCode ?? session.signalCode, null, `${why}: the session ended\n${text.slice(-500)}`)
      const fresh = samplesIn(text).slice(before)
      return answers(fresh, "imds").length >= 3 && answers(fresh, "dns").length >= 3 ? true : undefined
    }
    await until(`${why}: answers of both`, 30_000, seen).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${text.slice(-1_000)}`)
    })
  }
  await more("before any kill")
  for (const victim of ["fractus-api", "fractus-host", "guest-services"]) {
    const pid = (await cloud.processes()).get(victim)
    assert.ok(pid, `${victim} runs`)
    const from = samplesIn(text).length
    process.kill(pid, "SIGKILL")
    // The host is brought back by hand: until then everything in the guest goes on without it.
    if (victim === "fractus-host") {
      await more("without a daemon")
      await cloud.up()
    }
    await until(`${victim} is back`, 300_000, async () => {
      const now = await cloud.processes().catch(() => undefined)
      return now?.has(victim) && now.get(victim) !== pid ? now : undefined
    })
    await more(`after kill -9 of ${victim}`)
    const since = samplesIn(text).slice(Math.max(0, from - 2))
    const gaps = ["imds", "dns"].map((what) => [what, longestGap(answers(since, what))] as const)
    t.diagnostic(`kill -9 of ${victim}: ${gaps.map(([what, ms]) => `${what} silent for ${ms} ms at most`).join(", ")}`)
    for (const [what, ms] of gaps) assert.ok(ms < longestGapMs, `${what} was silent for ${ms} ms after ${victim}`)
  }
  assert.equal(session.exitCode ?? session.signalCode, null, "the session lives")
  await cloud.settled()
  assert.deepEqual(await wrongIn(cloud), [])
})

function samplesIn(text: string): readonly Sample[] {
  return [...text.matchAll(/^(imds|dns) ([\d.]+) (ok|no)$/gm)].map(([, what = "", at, ok]) => ({
    what,
    atMs: Math.round(Number(at) * 1000),
    ok: ok === "ok",
  }))
}

const longestGap = (samples: readonly Sample[]) =>
  Math.max(...samples.slice(1).map(({ atMs }, index) => atMs - (samples[index]?.atMs ?? 0)), 0)
