import assert from "node:assert/strict"
import { test } from "node:test"
import { judge } from "./judge.ts"
import type { Seen } from "./look.ts"

const whole: Seen = {
  namespaces: ["fr1-infra", "fr1-n1838", "fr1-g7", "fr10-infra", "docker"],
  links: [{ ifname: "lo" }, { ifname: "fr1-host", ifalias: "ip_forward=0", flags: ["UP"] }],
  routes: [
    { dst: "198.18.16.0/20", dev: "fr1-host" },
    { dst: "default", dev: "eth0" },
  ],
  nftables: [
    { table: { family: "inet", name: "fr1-host" } },
    { chain: { family: "ip", table: "filter", name: "FORWARD", hook: "forward", policy: "drop" } },
    ...[7, 8].map((handle) => ({
      rule: { family: "ip", table: "filter", chain: "FORWARD", handle, comment: "fractus fr1" },
    })),
  ],
  forwarding: "1",
  cgroups: ["/sys/fs/cgroup/fr1"],
  users: ["root", "fractus"],
  runDirectory: true,
}
const nothing: Seen = {
  namespaces: [],
  links: [{ ifname: "lo" }],
  routes: [],
  nftables: [],
  forwarding: "0",
  cgroups: [],
  users: ["root"],
  runDirectory: false,
}
const states = (seen: Seen, running: boolean) =>
  judge(seen, 1, running).map(({ kind, name, state }) => `${kind} ${name} ${state}`)

test("what a running home changed is listed, and of other homes nothing", () => {
  assert.deepEqual(states(whole, true), [
    "user fractus there",
    "namespace fr1-infra there",
    "namespace fr1-g7 there",
    "namespace fr1-n1838 there",
    "link fr1-host there",
    "route 198.18.16.0/20 there",
    "nft table inet fr1-host there",
    "nft rule ip filter FORWARD handle 7 there",
    "nft rule ip filter FORWARD handle 8 there",
    "sysctl net.ipv4.ip_forward there",
    "cgroup /sys/fs/cgroup/fr1 there",
    "files /run/fractus/1 there",
  ])
})

test("drift is named: what somebody took away or switched off", () => {
  const drifted = {
    ...whole,
    links: [{ ifname: "fr1-host", ifalias: "ip_forward=1", flags: [] }],
    routes: [],
    nftables: whole.nftables.filter(({ chain }) => chain !== undefined),
    forwarding: "0",
  }
  assert.deepEqual(
    states(drifted, true).filter((line) => !line.endsWith(" there")),
    [
      "link fr1-host changed",
      "route public addresses missing",
      "nft table inet fr1-host missing",
      "nft rule ip filter FORWARD missing",
      "sysctl net.ipv4.ip_forward changed",
    ],
  )
})

test("a home that is down should leave nothing but its user", () => {
  assert.deepEqual(states(nothing, false), [])
  assert.ok(states(whole, false).includes("namespace fr1-n1838 left over"))
})
