import assert from "node:assert/strict"
import { test } from "node:test"
import type { Check } from "./check.ts"
import { checkMachine, type Machine } from "./machine.ts"

const usual: Machine = {
  engine: "qemu",
  kernel: "Linux version 6.1.0-28-amd64 (debian-kernel@lists.debian.org) (gcc-12)",
  hasTun: true,
  hasIpv6: true,
  resolvers: "nameserver 192.0.2.53\n",
  resolvedServers: undefined,
  routes: "default via 192.0.2.1 dev eth0 \n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.7 \n",
  publicCidr: "198.18.0.0/20",
  chains:
    "table inet fractus {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n",
  restrictsUserNamespaces: false,
  awsVersion: "aws-cli/2.31.1 Python/3.13 Linux/6.1",
  freeMemoryMiB: 4000,
}

const checkOf = (name: string, odd: Partial<Machine>): Check => {
  const found = checkMachine({ ...usual, ...odd }).find((check) => check.name === name)
  assert.ok(found, name)
  return found
}

test("a usual machine is fine", () => {
  for (const check of checkMachine(usual)) assert.deepEqual([check.state, check.mend], ["ok", undefined], check.name)
})

test("what hinders real guests is told with a command", () => {
  const hinders: [string, Partial<Machine>, Check["state"], RegExp, RegExp][] = [
    ["tun", { hasTun: false }, "problem", /no \/dev\/net\/tun/, /modprobe tun/],
    ["system", { kernel: "Linux version 5.15.153.1-microsoft-standard-WSL2" }, "warning", /WSL/, /--engine sim/],
    ["memory", { freeMemoryMiB: 300 }, "warning", /300 MiB/, /free/],
    ["dns", { resolvers: "# empty\n" }, "warning", /no server/, /resolv\.conf/],
    [
      "addresses",
      { routes: `${usual.routes}198.18.4.0/24 via 192.0.2.9 dev eth0 \n` },
      "warning",
      /198\.18\.4\.0 on eth0/,
      /--public-cidr/,
    ],
    ["aws", { awsVersion: undefined }, "warning", /no AWS CLI/, /apt-get install/],
    ["aws", { awsVersion: "aws-cli/2.9.19 Python/3.11.2 Linux/6.1" }, "warning", /AWS_ENDPOINT_URL/, /aws ec2/],
    ["aws", { awsVersion: "aws-cli/1.27.1 Python/3.11.2 Linux/6.1" }, "warning", /AWS_ENDPOINT_URL/, /aws ec2/],
  ]
  for (const [name, odd, state, detail, mend] of hinders) {
    const check = checkOf(name, odd)
    assert.equal(check.state, state, name)
    assert.match(check.detail, detail)
    assert.match(check.mend ?? "", mend)
  }
})

test("nothing of it hinders a simulated cloud", () => {
  const odd = { engine: "sim", hasTun: false, kernel: "microsoft", freeMemoryMiB: 10 }
  for (const check of checkMachine({ ...usual, ...odd })) assert.notEqual(check.state, "problem", check.name)
})

test("what only looks odd is said and left", () => {
  assert.match(checkOf("ipv6", { hasIpv6: false }).detail, /not needed/)
  assert.match(checkOf("apparmor", { restrictsUserNamespaces: true }).detail, /made by root/)
  const dropping =
    "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n"
  assert.match(checkOf("firewall", { chains: dropping }).detail, /let through by name/)
  const stub = { resolvers: "nameserver 127.0.0.53\n" }
  assert.match(checkOf("dns", { ...stub, resolvedServers: "nameserver 192.0.2.1\n" }).detail, /resolved.*192\.0\.2\.1/)
  assert.match(checkOf("dns", { resolvers: "nameserver 127.0.0.1\n" }).detail, /127\.0\.0\.1 on this machine/)
  const own = "198.18.0.0/20 dev fr0-host scope link\nlocal 198.51.100.1 dev lo table local\n"
  assert.equal(checkOf("addresses", { routes: own }).state, "ok")
})
