/**
 * A Debian as small as it gets, with a Node, npm and a clone of this repository and nothing else, from the first command to the
 * last. Takes five minutes and more, and needs the package archives.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { homedir, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { after, test } from "node:test"
import { root } from "../../style/tree.ts"
import { type Machine, playMachine } from "./machine.ts"
import { aptSources, openWays, settings, waysOut } from "./ways.ts"

/** More of `./fractus test`, each some minutes: "unit api". */
const suites = (process.env["FRACTUS_FRESH_SUITES"] ?? "unit").split(" ").filter(Boolean)
const minutes = (count: number) => ({ timeoutMs: count * 60_000 })
const place = mkdtempSync(join(tmpdir(), "fractus-fresh-"))
const rootFolder = join(place, "root")
after(() => rmSync(place, { recursive: true, force: true }))

const say = (command: string, ...words: readonly string[]) =>
  execFileSync(command, words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 26 })

/** Debian's smallest, from where this machine has its own packages; the Node and npm of this machine; the clone at /opt/fractus. */
function makeRoot(): void {
  const release = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "bookworm"
  say("mmdebstrap", "--variant=minbase", "--include=ca-certificates", release, rootFolder, ...aptSources())
  const certificates = "/etc/ssl/certs/ca-certificates.crt"
  if (existsSync(certificates)) copyFileSync(certificates, join(rootFolder, certificates))
  const local = join(rootFolder, "usr/local")
  // npm and the node beside it: whatever one has who has npm.
  const npm = dirname(dirname(realpathSync(say("sh", "-c", "command -v npm").trim())))
  const node = say("node", "-p", "process.execPath").trim()
  mkdirSync(join(local, "lib/node_modules"), { recursive: true })
  say("cp", "-a", npm, join(local, "lib/node_modules/npm"))
  copyFileSync(node, join(local, "bin/node"))
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(local, "bin/npm"))
  const npmrc = join(homedir(), ".npmrc")
  if (existsSync(npmrc)) copyFileSync(npmrc, join(rootFolder, "root/.npmrc"))
  writeFileSync(join(rootFolder, "etc/apt/apt.conf.d/99machine"), say("apt-config", "dump", "Acquire"))
  const names = waysOut().map(({ name, address }) => `${address} ${name}`)
  writeFileSync(join(rootFolder, "etc/hosts"), ["127.0.0.1 localhost", ...names, ""].join("\n"))
  rmSync(join(rootFolder, "etc/resolv.conf"), { force: true })
  writeFileSync(join(rootFolder, "etc/resolv.conf"), "nameserver 127.0.0.1\n")
  const clone = join(rootFolder, "opt/fractus")
  mkdirSync(clone)
  const left = ["./node_modules", "./.cache", "./.git"].map((name) => `--exclude=${name}`)
  say("sh", "-c", `tar -C "$0" "$@" -cf - . | tar -C "${clone}" --no-same-owner -xf -`, root, ...left)
}

const fractus = (machine: Machine, words: string, count = 5) =>
  machine.run(`cd /opt/fractus && ./fractus ${words}`, { ...minutes(count), env: settings() })

/** Runs a command until something holds, then kills it, and perhaps what works for it, as a power failure does: 137. */
const cutOff = (words: string, holds: string, others = ""): string => `cd /opt/fractus
./fractus ${words} > /dev/null 2> /tmp/said & pid=$!
for _ in $(seq 2400); do
  ${holds} && break
  kill -0 $pid || exit 1
  sleep 0.05
done
kill -KILL $pid
for process in /proc/[0-9]*; do
  case $(cat "$process/comm" 2> /dev/null) in ${others || "nobody"}) kill -KILL "\${process#/proc/}" || true ;; esac
done
wait $pid; echo $?`

/** Moments of a first start. npm itself goes on when `./fractus` is killed, and the next run must not be disturbed by it. */
const moments = {
  fetching: cutOff("doctor", "[ -d .cache/install.*/node_modules ]"),
  unpacking:
    `: > /var/log/dpkg.log\n` +
    cutOff("up --yes", "grep -Eqs 'status (half-installed|unpacked)' /var/log/dpkg.log", "apt-get | dpkg*"),
  building: cutOff("up --yes", "grep -q 'Image: unpacking' /tmp/said"),
}

/** Launches one guest with the SDK that the clone has, lets ssh in, and prints its address. */
const launch = `
import { readFileSync, writeFileSync } from "node:fs"
import * as ec2 from "@aws-sdk/client-ec2"
const keys = JSON.parse(readFileSync("/var/lib/fractus/credentials.json", "utf8"))
const client = new ec2.EC2Client({ endpoint: "http://127.0.0.1:4566", region: keys.region, credentials: keys })
const { KeyMaterial } = await client.send(new ec2.CreateKeyPairCommand({ KeyName: "first" }))
writeFileSync("/root/first.pem", KeyMaterial, { mode: 0o600 })
const { Images: [image] } = await client.send(new ec2.DescribeImagesCommand({}))
await client.send(new ec2.AuthorizeSecurityGroupIngressCommand({ GroupName: "default", IpProtocol: "tcp", FromPort: 22, ToPort: 22, CidrIp: "0.0.0.0/0" }))
const { Instances: [made] } = await client.send(new ec2.RunInstancesCommand({ ImageId: image.ImageId, InstanceType: "t3.nano", KeyName: "first", MinCount: 1, MaxCount: 1 }))
await ec2.waitUntilInstanceRunning({ client, maxWaitTime: 120 }, { InstanceIds: [made.InstanceId] })
const { Reservations: [{ Instances: [running] }] } = await client.send(new ec2.DescribeInstancesCommand({}))
console.log(running.PublicIpAddress)`

test("a fresh Debian with Node and this clone: found, brought, cut off, gone on with, served, tested", async (t) => {
  makeRoot()
  const machine = await playMachine(t, { rootFolder })
  const ways = waysOut()
  const first = await fractus(machine, "doctor")
  assert.equal(first.status, 3, first.output)
  assert.match(first.output, /libatomic\.so\.1 is missing|npm does not reach its registry/)
  assert.equal(await machine.must("ls -d /opt/fractus/node_modules || true"), "")

  let close = await openWays(t, machine.pid, ways)
  const killed = async (moment: string) =>
    assert.equal((await machine.must(moment, { ...minutes(5), env: settings() })).trim(), "137", moment)
  await killed(moments.fetching)
  assert.equal(await machine.must("ls -d /opt/fractus/node_modules || true"), "")
  const doctor = await fractus(machine, "doctor --json")
  assert.equal(doctor.status, 1, doctor.output)
  const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string; state: string; mend?: string }[] }
  const missing =
    checks
      .find(({ name }) => name === "packages")
      ?.mend?.split("--no-install-recommends ")[1]
      ?.split(" ") ?? []
  for (const name of [
    "qemu-utils",
    "nftables",
    "dnsmasq-base",
    "iproute2",
    "openssh-client",
    "procps",
    "cpio",
    "zstd",
    "xz-utils",
  ])
    assert.ok(missing.includes(name), `${name} is missing, and doctor says: ${missing.join(" ")}`)

  const sim = await fractus(machine, "up --yes --engine sim --home /tmp/sim --port 5443")
  assert.equal(sim.status, 0, sim.output)
  assert.equal((await fractus(machine, "down --home /tmp/sim")).status, 0)

  close()
  const offline = await fractus(machine, "up --yes")
  assert.equal(offline.status, 3, offline.output)
  for (const name of missing) assert.match(offline.output, new RegExp(`missing.*\\b${name}\\b`))
  assert.equal(await machine.must("ls -A /var/lib/fractus; id -un fractus || true"), "")

  close = await openWays(t, machine.pid, ways)
  await killed(moments.unpacking)
  await killed(moments.building)
  const up = await fractus(machine, "up --yes", 10)
  assert.equal(up.status, 0, up.output)
  close()
  assert.equal((await fractus(machine, "doctor")).status, 0)

  const node = "node_modules/node-linux-*/bin/node"
  const address = await machine.must(`cd /opt/fractus && ${node} --input-type=module -e '${launch}'`, minutes(4))
  const options =
    "-i /root/first.pem -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectionAttempts=60"
  assert.equal(await machine.must(`ssh ${options} -q ec2-user@${address.trim()} echo in`, minutes(4)), "in\n")
  assert.equal((await fractus(machine, "down")).status, 0)

  await openWays(t, machine.pid, ways)
  for (const suite of suites) {
    const tested = await fractus(machine, `test ${suite} --yes`, 20)
    assert.equal(tested.status, 0, tested.output.slice(-4_000))
    assert.match(tested.stdout, /[1-9]\d* passed, 0 failed\n$/)
  }
})
