/**
 * Hosts that are somebody's already: another's firewall, another's use of the same addresses. In each, guests are reached and
 * get out, and `down` leaves the rules as they were, to the byte.
 */
import assert from "node:assert/strict"
import { access, constants } from "node:fs/promises"
import { test } from "node:test"
import { everything, group, internetAddress, type Lab, network, openLab, port } from "./lab.ts"
import { run } from "./command.ts"
import { inside, ip, ipBatch, nft, sysctl } from "./namespaces.ts"
import type { LinuxNetworkOptions } from "./open.ts"

const docker = `
table ip filter {
  chain INPUT { type filter hook input priority filter; policy accept; }
  chain FORWARD { type filter hook forward priority filter; policy drop;
    counter jump DOCKER-USER
    counter jump DOCKER-FORWARD
  }
  chain DOCKER-USER { counter return
  }
  chain DOCKER-FORWARD { oifname "docker0" ct state established,related counter accept
    iifname "docker0" counter accept
  }
}
table ip nat {
  chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept;
    ip saddr 172.17.0.0/16 oifname != "docker0" counter masquerade
  }
}
`
const ufw = `
table ip filter {
  chain INPUT { type filter hook input priority filter; policy drop;
    ct state established,related accept
    tcp dport 22 accept
  }
  chain FORWARD { type filter hook forward priority filter; policy drop;
    jump ufw-before-forward
    jump ufw-reject-forward
  }
  chain ufw-before-forward { ct state established,related accept
    icmp type echo-request accept
  }
  chain ufw-reject-forward { counter reject
  }
}
`
const firewalld = `
table inet firewalld {
  chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
    ct state established,related accept
    ct status dnat accept
    iifname "lo" accept
    jump filter_FORWARD_POLICIES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD_POLICIES { iifname "podman0" accept
  }
}
`
const libvirt = `
table ip libvirt_network {
  chain forward { type filter hook forward priority filter; policy accept;
    counter jump guest_cross
    counter jump guest_output
  }
  chain guest_cross { iifname "virbr0" oifname "virbr0" counter accept
  }
  chain guest_output { iifname "virbr0" counter reject
  }
}
table ip filter {
  chain FORWARD { type filter hook forward priority filter; policy accept;
    jump LIBVIRT_FWI
  }
  chain LIBVIRT_FWI { oifname "virbr0" counter reject
  }
}
`

interface Neighbour {
  readonly before?: NonNullable<Parameters<typeof openLab>[1]>
  /** More of the host's rules than nft shows. */
  readonly rules?: (host: string) => Promise<string>
  readonly options?: Partial<LinuxNetworkOptions>
  readonly publicAddress?: string
}

const ruleSet = (text: string): Neighbour => ({ before: ({ host }) => nft(host, text) })

const neighbours: Readonly<Record<string, Neighbour>> = {
  "an empty host": {},
  "Docker's rules": ruleSet(docker),
  "ufw's rules": ruleSet(ufw),
  "firewalld's rules": ruleSet(firewalld),
  "libvirt's rules": ruleSet(libvirt),
  "Docker, firewalld and libvirt at once": ruleSet(docker + firewalld + libvirt.split("table ip filter")[0]),
  "a host in 172.31.0.0/16 itself": {
    before: async ({ host }) => {
      await ip(host, "link", "add", "lan", "type", "bridge")
      await ipBatch(host, ["addr add 172.31.0.11/16 dev lan", "link set lan up"])
    },
  },
  "a host in 198.18.0.0/15 itself, with a pool elsewhere": {
    options: { publicCidr: "10.250.0.0/24" },
    publicAddress: "10.250.0.11",
    before: async ({ host, internet }) => {
      await ip(host, "link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", internet)
      await ipBatch(host, ["addr add 198.18.0.1/15 dev lan", "link set lan up"])
      await ipBatch(internet, ["addr add 198.18.0.9/15 dev lan", "link set lan up"])
    },
  },
  "a VPN that takes the whole world by halves": {
    before: ({ host }) =>
      ipBatch(
        host,
        ["0.0.0.0/1", "128.0.0.0/1"].map((half) => `route add ${half} via ${internetAddress}`),
      ),
  },
  "a host without IPv6": {
    before: ({ host }) =>
      sysctl(host, { "net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1 }),
  },
}

/** What the host's network looks like, without counters: byte for byte but for what counts by itself. */
async function portrait(lab: Lab): Promise<string[]> {
  return await Promise.all(
    [
      ["ip", "-o", "link"],
      ["ip", "-4", "route", "show", "table", "all"],
      ["ip", "rule"],
      ["nft", "--stateless", "list", "ruleset"],
      ["sysctl", "net.ipv4.ip_forward"],
    ].map((argv) => lab.exec(lab.host, ...argv)),
  )
}

async function guestsLive(lab: Lab, publicAddress: string): Promise<void> {
  const { internet, guest } = lab
  await lab.exec(internet, "ip", "route", "replace", lab.options.publicCidr, "via", "203.0.113.1")
  assert.equal(await lab.greeting(internet, publicAddress, 80), internetAddress, "reached from outside")
  assert.ok(await lab.greeting(lab.host, publicAddress, 80), "reached from the host")
  assert.equal(await lab.greeting(guest(1), internetAddress, 8080), "203.0.113.1", "gets out")
  assert.equal(await lab.greeting(guest(2), "172.31.0.11", 80), "172.31.0.12", "neighbours meet")
}

async function beside(
  { before, options = {}, publicAddress = "198.18.0.11", rules: more }: Neighbour,
  body?: (lab: Lab) => Promise<void>,
) {
  const lab = await openLab(options, before)
  try {
    const was = [...(await portrait(lab)), await more?.(lab.host)]
    await lab.engine.up()
    const groups = [group("sg-open", [everything])]
    await lab.bring(network(1, groups, [port(1, ["sg-open"], { publicAddress }), port(2, ["sg-open"])]))
    await lab.serve(lab.guest(1), 80)
    await lab.serve(lab.internet, 8080)
    await guestsLive(lab, publicAddress)
    await body?.(lab)
    // A second look changes nothing that matters, and leaves nothing twice.
    await lab.engine.up()
    await guestsLive(lab, publicAddress)
    await lab.engine.down()
    assert.deepEqual([...(await portrait(lab)), await more?.(lab.host)], was)
  } finally {
    await lab.close()
  }
}

for (const [name, neighbour] of Object.entries(neighbours)) {
  test(`beside ${name}: reached, gets out, leaves no trace`, () => beside(neighbour))
}

test("what the host has in 198.18.0.0/15 is reached by its guests, who come by the host's address there", () =>
  beside(neighbours["a host in 198.18.0.0/15 itself, with a pool elsewhere"] ?? {}, async (lab) => {
    await lab.serve(lab.internet, 8081, "198.18.0.9")
    assert.equal(await lab.greeting(lab.guest(1), "198.18.0.9", 8081), "198.18.0.1")
  }))

test("a firewall that reloads and forgets our accept gets it again with the next look", () =>
  beside(ruleSet(docker), async (lab) => {
    await nft(lab.host, `delete table ip filter\ndelete table ip nat\n${docker}`)
    assert.equal(await lab.greeting(lab.internet, "198.18.0.11", 80), undefined)
    await lab.engine.up()
    await guestsLive(lab, "198.18.0.11")
  }))

/** The old program is not on every machine: where it is missing, the test says that it showed nothing. */
const legacyThere = await Promise.any(
  (process.env["PATH"] ?? "").split(":").map((folder) => access(`${folder}/iptables-legacy`, constants.X_OK)),
).then(
  () => true,
  () => false,
)
const legacy = (host: string, ...args: string[]) => run([...inside(host), "iptables-legacy", ...args])

test(
  "beside a firewall of iptables-legacy: reached, gets out, leaves no trace",
  { skip: legacyThere ? false : "iptables-legacy is not installed" },
  () =>
    beside(
      {
        rules: (host) => legacy(host, "-S", "FORWARD"),
        before: async ({ host }) => {
          await legacy(host, "-P", "FORWARD", "DROP")
          await legacy(host, "-A", "FORWARD", "-i", "docker0", "-j", "ACCEPT")
        },
      },
      async (lab) => {
        const accepts = async () => (await legacy(lab.host, "-S", "FORWARD")).match(/fractus/g)?.length
        assert.equal(await accepts(), 2)
        await lab.engine.up()
        assert.equal(await accepts(), 2)
      },
    ),
)
