/** Metadata and names as a guest meets them: the real guest-services, without privileges, behind the real filters. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { group, type Lab, network, openLab, port } from "./lab.ts"
import { ip, ipBatch, nft, sysctl } from "./namespaces.ts"

const repository = fileURLToPath(new URL("../../..", import.meta.url))
/** The repository may be in a folder of root's alone: here it is bound to one that is open. */
const opened = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'

async function startServices(lab: Lab, hopLimit: number): Promise<number> {
  const directory = join(lab.directory, "metadata")
  await mkdir(directory)
  await writeFile(join(directory, "token.key"), Buffer.alloc(32, 7))
  const tree = { "meta-data/instance-id": "i-1" }
  const document = { guest: "i-1", enabled: true, tokens: "optional", hopLimit, tree, domainName: "ec2.internal" }
  await writeFile(join(directory, "100.64.0.1.json"), JSON.stringify(document))
  const user = [
    "setpriv",
    "--reuid=1999002",
    "--regid=1999002",
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set=-all",
  ]
  const clone = join(lab.directory, "clone")
  await mkdir(clone)
  const node = process.execPath.replace(repository, `${clone}/`)
  const argv = [node, join(clone, "guest-services/main.ts"), "--directory", directory]
  const shell = ["unshare", "--mount", "sh", "-c", opened, "sh", repository, clone]
  const words = [...shell, ...user, "--inh-caps=-all", ...argv, "--upstream-resolver", "203.0.113.9"]
  const child = lab.background(`${lab.prefix}-infra`, ...words)
  await once(child.stdout, "data", { signal: AbortSignal.timeout(60_000) })
  return child.pid ?? 0
}

/** A namespace behind guest 1, as a container in it would be: one hop further. */
async function container(lab: Lab): Promise<string> {
  const [guest, inner] = [lab.guest(1), `${lab.prefix}-inner`]
  await ip(undefined, "netns", "add", inner)
  await ip(guest, "link", "add", "box", "type", "veth", "peer", "name", "eth0", "netns", inner)
  await ipBatch(guest, ["addr add 10.88.0.1/24 dev box", "link set box up"])
  await ipBatch(inner, ["addr add 10.88.0.2/24 dev eth0", "link set eth0 up", "route add default via 10.88.0.1"])
  await sysctl(guest, { "net.ipv4.ip_forward": 1 })
  await nft(
    guest,
    "table ip box {\n chain out {\n type nat hook postrouting priority srcnat\n oifname eth0 masquerade\n }\n}\n",
  )
  return inner
}

const tokenRequest = [
  "-X",
  "PUT",
  "-H",
  "X-aws-ec2-metadata-token-ttl-seconds: 60",
  "http://169.254.169.254/latest/api/token",
]
const curl = (lab: Lab, namespace: string, ...argv: string[]) => lab.exec(namespace, "curl", "-s", "-m", "2", ...argv)

async function inLab(body: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await openLab()
  try {
    await lab.engine.up()
    await lab.bring(network(1, [group("sg-none", [], [])], [port(1, ["sg-none"]), port(2, ["sg-none"])], false))
    await body(lab)
  } finally {
    await lab.close()
  }
}

test("a guest gets its token, its metadata and its names; another gets nothing of it", (t) =>
  inLab(async (lab) => {
    const pid = await startServices(lab, 1)
    const token = await curl(lab, lab.guest(1), ...tokenRequest)
    assert.match(token, /^[\w-]{52}$/)
    const id = "http://169.254.169.254/latest/meta-data/instance-id"
    assert.equal(await curl(lab, lab.guest(1), "-H", `X-aws-ec2-metadata-token: ${token}`, id), "i-1")
    assert.match(await curl(lab, lab.guest(2), id), /404 - Not Found/)
    const asked = await lab.exec(
      lab.guest(1),
      "busybox",
      "nslookup",
      "-type=a",
      "ip-172-31-0-12.ec2.internal",
      "172.31.0.2",
    )
    assert.match(asked, /172\.31\.0\.12/)
    const rss = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]
    t.diagnostic(`guest-services: ${Math.round(Number(rss) / 1024)} MB resident`)
  }))

for (const [hopLimit, reaches] of [
  [1, false],
  [2, true],
] as const) {
  test(`with a hop limit of ${hopLimit} a container in the guest ${reaches ? "gets a token" : "gets no token, but the rest"}`, () =>
    inLab(async (lab) => {
      await startServices(lab, hopLimit)
      const inner = await container(lab)
      assert.match(await curl(lab, lab.guest(1), ...tokenRequest), /^[\w-]{52}$/, "the guest itself gets one")
      const token = await curl(lab, inner, ...tokenRequest).catch(() => "")
      assert.equal(token.length, reaches ? 52 : 0)
      assert.equal(await curl(lab, inner, "http://169.254.169.254/latest/meta-data/instance-id"), "i-1")
    }))
}
