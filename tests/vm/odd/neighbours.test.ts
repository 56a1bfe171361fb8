/** A machine that is somebody's already, in many ways at once: `up` works, `doctor` says what it saw, `down` gives all of it back. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { type Machine, playMachine, program } from "./machine.ts"

interface Doctor {
  readonly ok: boolean
  readonly checks: readonly {
    readonly name: string
    readonly state: string
    readonly detail: string
    readonly mend?: string
  }[]
  readonly changes: readonly { readonly kind: string; readonly name: string; readonly state: string }[]
}

const odd = `
nft -f - <<'end'
table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }
table inet own { chain passing { type filter hook forward priority 10; policy drop; }; }
end
ip addr add 172.31.4.4/16 dev outside
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
mkdir -p /run/systemd/resolve
echo nameserver 192.0.2.53 > /run/systemd/resolve/resolv.conf
rm -f /etc/resolv.conf
echo nameserver 127.0.0.53 > /etc/resolv.conf
useradd --create-home ann
chmod 711 /home/ann
mkdir -p "/root/not yours/cloud"
chmod 700 /root "/root/not yours" "/root/not yours/cloud"
rm -rf /root/.aws
mkdir /opt/elsewhere
ln -s ${program} "/opt/elsewhere/frac tus"
cat > /usr/local/bin/aws <<'end'
#!/bin/sh
[ "$*" = --version ] && echo "aws-cli/2.9.19 Python/3.11.2 Linux/6.1" || echo "$@"
end
chmod 755 /usr/local/bin/aws`

const home = "/root/not yours/cloud"
const called = `cd /opt/elsewhere && './frac tus'`
/** As `sudo` has it. */
const bySudo = `export SUDO_USER=ann SUDO_UID=$(id -u ann) SUDO_GID=$(id -g ann)`

const lookOf = (machine: Machine) =>
  machine.must("nft --stateless list ruleset; ip -br link; ip route; sysctl net.ipv4.ip_forward")

test("an odd machine is no hindrance: another's firewall, addresses, resolver, home, user, path and AWS CLI", async (t) => {
  const machine = await playMachine(t, { odd })
  const before = await lookOf(machine)
  const up = await machine.run(`${bySudo}; ${called} up --yes --port 5441 --home '${home}'`)
  assert.equal(up.status, 0, up.output)
  // The commands that it prints can be typed as they are.
  assert.match(up.stdout, /'\.\/frac tus' env --home '\/root\/not yours\/cloud'/)
  const typed =
    up.stdout
      .split("\n")
      .find((line) => line.includes("run-instances"))
      ?.trim() ?? ""
  assert.match(
    await machine.must(`cd /opt/elsewhere && ${typed}`),
    /^--endpoint-url http:\/\/127\.0\.0\.1:5441 ec2 run-inst/,
  )
  const owners = await machine.must(
    "stat -c '%U %a' /home/ann/.aws/config /home/ann/.aws/credentials; ls -d /root/.aws || true",
  )
  assert.deepEqual(owners.trim().split("\n"), ["ann 600", "ann 600"], "the profile is the caller's, and root gets none")

  const doctor: Doctor = JSON.parse(await machine.must(`${bySudo}; ${called} doctor --json --home '${home}'`))
  const said = (name: string) => {
    const check = doctor.checks.find((each) => each.name === name)
    return [check?.state, check?.detail, check?.mend].filter(Boolean).join(": ")
  }
  assert.ok(doctor.ok, JSON.stringify(doctor.checks))
  assert.match(said("firewall"), /^ok: others drop what is forwarded/)
  assert.match(said("vpc"), /^ok: 172\.31\.0\.0\/16 on outside is also the default VPC's/)
  assert.match(said("ipv6"), /^ok: not there or switched off/)
  assert.match(said("dns"), /^ok: systemd-resolved; guests' names go to 192\.0\.2\.53/)
  assert.match(said("aws"), /^warning: aws-cli\/2\.9\.19 does not know AWS_ENDPOINT_URL: '\.\/frac tus' aws/)
  const rules = doctor.changes.filter(({ kind }) => kind === "nft rule")
  const chains = rules.map(({ name, state }) => `${name.replace(/ handle \d+/, "")} ${state}`)
  const both = ["inet own passing there", "ip filter FORWARD there"]
  assert.deepEqual(
    chains.toSorted(),
    both.flatMap((chain) => [chain, chain]),
  )
  assert.match(await machine.must(`curl -s http://127.0.0.1:5441/_fractus/status`), /fractus-api/)

  await machine.must(`${called} down --home '${home}'`)
  assert.equal(await lookOf(machine), before)
})
