/** What a machine lacks is named at once, with the command that mends it, and nothing is half done: the next `up` starts afresh. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { root } from "../../style/tree.ts"
import { type Ended, type Machine, playMachine, program } from "./machine.ts"

const up = `${program} up --yes --no-profile --port 5442`

/** Resolvers of nobody: names fail at once, as on a machine without network. */
const noNetwork = `rm -f /etc/resolv.conf; echo nameserver 127.0.0.1 > /etc/resolv.conf`
/** Without the AWS CLI, which takes longer to say its version than all else that `doctor` asks. */
const untouched = `rm -rf /var/lib/fractus; userdel fractus || true; ${noNetwork}
printf '#!/bin/sh\\necho aws-cli/2.31.1\\n' > /usr/local/bin/aws; chmod 755 /usr/local/bin/aws`

const refused = (ended: Ended, status: number, ...said: readonly RegExp[]): void => {
  assert.equal(ended.status, status, ended.output)
  for (const each of said) assert.match(ended.output, each)
  assert.doesNotMatch(ended.output, /\n\s+at /, "no stack")
}

/** No user, no image, no daemon; a home without anything in it at most. */
async function nothingDone(machine: Machine, home = "/var/lib/fractus"): Promise<void> {
  const left = await machine.must(
    `ls -A ${home} 2> /dev/null; id -un fractus 2> /dev/null; ls /run/netns 2> /dev/null; pgrep -fa '[d]aemon/main' || true`,
  )
  assert.equal(left, "")
}

const problem = async (machine: Machine, name: string): Promise<string> => {
  const { checks } = JSON.parse((await machine.run(`${program} doctor --json`)).stdout)
  const found = checks.find((check: { name: string }) => check.name === name)
  return `${found?.state}: ${found?.detail} -> ${found?.mend}`
}

test("each package of real guests that is missing or broken is found, and nothing is begun without it", async (t) => {
  const machine = await playMachine(t, { odd: untouched })
  // One after the other is taken away and put back.
  const each = `import { engineNeeds, missingPackages } from "${root}/cli/packages/needs.ts"
import { existsSync, renameSync } from "node:fs"
for (const { package: name, files } of engineNeeds) {
  const there = [...new Set(files.filter(existsSync))]
  for (const file of there) if (existsSync(file)) renameSync(file, file + ".gone")
  const missing = missingPackages(engineNeeds)
  if (missing.length !== 1 || missing[0] !== name) console.log(name, missing)
  for (const file of there) if (existsSync(file + ".gone")) renameSync(file + ".gone", file)
}
console.log(missingPackages(engineNeeds).length, "missing")`
  const node = `"$(ls ${root}/node_modules/node-linux-*/bin/node)"`
  assert.equal(await machine.must(`cat > /tmp/each.ts <<'end'\n${each}\nend\n${node} /tmp/each.ts`), "0 missing\n")

  // dpkg knows nothing of a file that somebody removed.
  await machine.must("mv /usr/bin/zstd /usr/bin/zstd.gone")
  refused(await machine.run(up), 3, /files of them are gone: zstd/, /apt-get install -y --reinstall .*zstd/)
  await nothingDone(machine)
  await machine.must(
    "mv /usr/bin/zstd.gone /usr/bin/zstd; dpkg --force-depends --remove cpio; rm -rf /var/lib/apt/lists/*",
  )
  const offline = await machine.run(up)
  refused(offline, 3, /these packages are missing.*: cpio/, /apt-get install -y .*cpio/, /up --engine sim/)
  assert.match(
    await problem(machine, "packages"),
    /^problem: missing for real guests: cpio -> .*apt-get install .*cpio/,
  )
  await nothingDone(machine)

  await machine.must("ln -s /bin/true /usr/bin/cpio; mv /usr/bin/qemu-system-x86_64 /usr/bin/q")
  const library = "error while loading shared libraries: libfoo.so.1"
  await machine.must(
    `printf '#!/bin/sh\\necho "${library}" >&2; exit 127\\n' > /usr/bin/qemu-system-x86_64; chmod 755 /usr/bin/qemu-system-x86_64`,
  )
  refused(await machine.run(up), 3, /qemu-system-x86_64 \(error while loading.*libfoo/, /--reinstall .*qemu-system-x86/)
  assert.match(
    await problem(machine, "packages"),
    /^problem: do not run: .*libfoo\.so\.1\) -> .*--reinstall.*qemu-system-x86$/,
  )
  await nothingDone(machine)
})

test("a small disk, addresses in use and another kernel are refused with the figure and the way out", async (t) => {
  const machine = await playMachine(t, {
    odd: `${untouched}
mkdir /small
mount -t tmpfs -o size=3g small /small
ip link add lan type bridge
ip addr add 198.18.3.1/16 dev lan
ip link set lan up
echo 'Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)' > /tmp/wsl1
echo 'Linux version 5.15.153.1-microsoft-standard-WSL2 (root@wsl)' > /tmp/wsl2`,
  })
  refused(
    await machine.run(`${up} --home /small/cloud`),
    3,
    /\/small\/cloud has 3\.0 GB free; real guests need at least 5 GB/,
    /--home DIR/,
  )
  await nothingDone(machine, "/small/cloud")

  const taken = await machine.run(up)
  refused(taken, 4, /198\.18\.0\.0\/20, the pool of public addresses, is in use.*198\.18\.0\.0\/16 dev lan/)
  const mend = / up --public-cidr 10\.198\.0\.0\/20/
  assert.match(taken.output, mend)
  assert.match(await problem(machine, "addresses"), /^problem: 198\.18\.0\.0\/16 on lan overlaps/)
  assert.match(await problem(machine, "addresses"), mend)
  assert.equal(await machine.must("ls /run/netns; pgrep -fa '[d]aemon/main' || true"), "")

  await machine.must("mount --bind /tmp/wsl1 /proc/version")
  refused(await machine.run(up), 3, /WSL1: simulated clouds work/, /up --engine sim/)
  assert.match(await problem(machine, "system"), /^problem: WSL1/)
  await machine.must("mount --bind /tmp/wsl2 /proc/version")
  const proposed = await machine.run(`${up} --public-cidr 10.198.0.0/20`)
  assert.equal(proposed.status, 0, proposed.output)
  assert.match(proposed.stderr, /This is WSL2: simulated clouds work; for real guests use a Linux VM/)
  assert.match(await problem(machine, "system"), /^warning: WSL2/)
  assert.match(await machine.must("ip route show 10.198.0.0/20"), /dev fr0-host/)
})

test("the first start says plainly that npm's registry is out of reach, or that the system is macOS", async (t) => {
  const machine = await playMachine(t, {
    odd: `${noNetwork}
mkdir -p "/opt/a clone" /opt/mac
cd ${root}
cp -r fractus cli package.json package-lock.json .npmrc "/opt/a clone/"
ln -s "/opt/a clone/fractus" /usr/local/bin/fractus
printf '#!/bin/sh\\necho Darwin\\n' > /opt/mac/uname
chmod 755 /opt/mac/uname`,
  })
  const left = () =>
    machine.must(`ls -A "/opt/a clone" | tr '\\n' ' '; ls -A /root/.npm/_cacache 2> /dev/null | head -c 0`)
  const before = await left()
  const mac = await machine.run("PATH=/opt/mac:$PATH fractus up --yes")
  refused(mac, 3, /this is macOS \(Darwin\); Fractus runs on Linux/, /Linux VM/, /simulated/)
  assert.equal(await left(), before)
  const started = performance.now()
  const offline = await machine.run("fractus up --yes", { env: { npm_config_cache: "/opt/empty" } })
  refused(offline, 3, /npm does not reach its registry \(https?:\/\//, /Nothing was changed/, /npm config set proxy/)
  assert.match(offline.output, /fractus up --yes\n$/)
  assert.ok(performance.now() - started < 60_000, "not one try for each package")
  assert.equal(await machine.must(`ls -d "/opt/a clone/node_modules" || true`), "")
})
