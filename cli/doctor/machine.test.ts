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

const pool = (cidr: string): string => `${usual.routes}${cidr} via 192.0.2.9 dev eth1 \n`

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
    ["system", { kernel: "Linux version 5.15.153.1-microsoft-standard-WSL2" }, "warning", /WSL2/, /--engine sim/],
    ["system", { kernel: "Linux version 4.4.0-19041-Microsoft" }, "problem", /no network namespaces/, /--engine sim/],
    ["firewall", { chains: undefined, nftFailed: "Operation not supported" }, "problem", /not supported/, /nf_tables/],
    ["memory", { freeMemoryMiB: 300 }, "warning", /300 MiB/, /free/],
    ["dns", { resolvers: "# empty\n" }, "warning", /no server/, /resolv\.conf/],
    ["addresses", { routes: pool("198.18.4.0/24") }, "problem", /198\.18\.4\.0\/24 on eth1/, /--public-cidr 10\.198/],
    ["addresses", { routes: pool("198.16.0.0/12") }, "problem", /198\.16\.0\.0\/12 on eth1/, /--public-cidr 10\.198/],
    [
      "addresses",
      { routes: pool("198.18.4.0/24") + pool("10.0.0.0/8") },
      "problem",
      /198\.18\.4/,
      /--public-cidr 172\.30/,
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
  assert.match(checkOf("ipv6", { hasIpv6: false }).detail, /switched off, and not needed/)
  assert.match(checkOf("apparmor", { restrictsUserNamespaces: true }).detail, /made by root/)
  const dropping =
    "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n"
  assert.match(checkOf("firewall", { chains: dropping }).detail, /let through by name/)
  const stub = { resolvers: "nameserver 127.0.0.53\n" }
  assert.match(checkOf("dns", { ...stub, resolvedServers: "nameserver 192.0.2.1\n" }).detail, /resolved.*192\.0\.2\.1/)
  assert.match(checkOf("dns", { resolvers: "nameserver 127.0.0.1\n" }).detail, /127\.0\.0\.1 on this machine/)
  const own = "198.18.0.0/20 dev fr0-host scope link\nlocal 198.51.100.1 dev lo table local\n"
  assert.equal(checkOf("addresses", { routes: own }).state, "ok")
  const vpn = "0.0.0.0/1 via 10.8.0.1 dev tun0\n128.0.0.0/1 via 10.8.0.1 dev tun0\n"
  assert.equal(checkOf("addresses", { routes: vpn }).state, "ok")
  const [vpc, another] = [
    checkOf("vpc", { routes: pool("172.31.0.0/16") }),
    checkOf("vpc", { routes: pool("172.30.0.0/16") }),
  ]
  assert.match(vpc.detail, /172\.31\.0\.0\/16 on eth1 is also/)
  assert.match(another.detail, /nothing else/)
})
