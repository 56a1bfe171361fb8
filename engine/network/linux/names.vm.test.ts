/**
 * Names from the host's own resolvers, as a guest meets them: the real guest-services and the real relay, each as its user, in a host
 * whose files and resolvers (dnsmasq) each test makes.
 */
import assert from "node:assert/strict"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { chmod, chown, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { test } from "node:test"
import { fileURLToPath } from "node:url"
import { group, internetAddress, type Lab, network, openLab, port, publicCidr } from "./lab.ts"
import { inside } from "./namespaces.ts"
import { run } from "./command.ts"

const repository = fileURLToPath(new URL("../../..", import.meta.url))
/** The repository may be in a folder of root's alone: here it is bound to one that is open. */
const opened = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
const users = { services: 1_999_002, relay: 1_999_003 }

interface Scene {
  readonly lab: Lab
  readonly socket: string
  readonly resolvConf: (text: string) => Promise<void>
  readonly behindStub: (text: string) => Promise<void>
  /** A resolver at `listen` of the host or of the internet, that answers every name with `answer`. */
  readonly resolver: (namespace: string, listen: string, answer: string) => Promise<ChildProcess>
  readonly relay: () => Promise<ChildProcess>
  /** What the guest's own resolver finds, or "" when that is an error. */
  readonly ask: (name: string, guest?: number) => Promise<string>
  /** Asks until it finds `address`. */
  readonly until: (name: string, address: string) => Promise<void>
}

async function scene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const lab = await openLab()
  try {
    await lab.engine.up()
    const groups = [group("sg-none", [], [])]
    const held = port(2, ["sg-none"], { publicAddress: "198.18.0.5" })
    await lab.bring(network(1, groups, [port(1, ["sg-none"]), held], false))
    await lab.bring(network(2, groups, [port(101, ["sg-none"], { address: "172.31.0.11" })], false))
    await body(await hostOf(lab))
  } finally {
    await lab.close()
  }
}

async function hostOf(lab: Lab): Promise<Scene> {
  const at = (name: string) => join(lab.directory, name)
  await Promise.all(["metadata", "names", "clone"].map((name) => mkdir(at(name))))
  // As daemon/qemu/name-relay.ts makes it: what appears in it has the group of those who may ask.
  await chown(at("names"), users.relay, users.services)
  await chmod(at("names"), 0o2710)
  await writeFile(at("resolv.conf"), "nameserver 127.0.0.1\n")
  const socket = at("names/relay.sock")
  const started = async (namespace: string, user: number, script: string, ...words: string[]) => {
    const shell = ["unshare", "--mount", "sh", "-c", opened, "sh", repository, at("clone")]
    const without = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    const identity = ["setpriv", `--reuid=${user}`, `--regid=${user}`, ...without]
    const node = process.execPath.replace(repository, `${at("clone")}/`)
    const child = lab.background(namespace, ...shell, ...identity, node, join(at("clone"), script), ...words)
    await once(child.stdout, "data", { signal: AbortSignal.timeout(60_000) })
    return child
  }
  await startServices(lab, (...words) =>
    started(`${lab.prefix}-infra`, users.services, "guest-services/main.ts", ...words, "--relay", socket),
  )
  const ask = async (name: string, guest = 1) =>
    lab.exec(lab.guest(guest), "busybox", "nslookup", "-type=a", name, "172.31.0.2").catch(() => "")
  const relayed = ["--socket", socket, "--resolv-conf", at("resolv.conf")]
  return {
    lab,
    socket,
    ask,
    resolvConf: (text) => writeFile(at("resolv.conf"), text),
    behindStub: (text) => writeFile(at("behind-stub"), text),
    relay: () => started(lab.host, users.relay, "guest-services/relay/main.ts", ...relayed),
    resolver: async (namespace, listen, answer) => {
      const said = "--no-resolv --no-hosts --no-daemon --bind-interfaces --port=53 --conf-file=/dev/null".split(" ")
      const child = lab.background(
        namespace,
        "dnsmasq",
        ...said,
        `--listen-address=${listen}`,
        `--address=/#/${answer}`,
      )
      const asks = [...inside(namespace), "busybox", "nslookup", "-type=a", "ready.example", listen]
      await eventually(`a resolver at ${listen}`, () =>
        run(asks).then(
          (found) => found.includes(answer),
          () => false,
        ),
      )
      return child
    },
    until: (name, address) => eventually(`${name} is ${address}`, async () => (await ask(name)).includes(address)),
  }
}

async function startServices(lab: Lab, start: (...words: string[]) => Promise<unknown>): Promise<void> {
  const directory = join(lab.directory, "metadata")
  const document = {
    guest: "i-1",
    enabled: true,
    tokens: "optional",
    hopLimit: 1,
    tree: {},
    domainName: "ec2.internal",
  }
  const put = (name: string, value: object) => writeFile(join(directory, `${name}.json`), JSON.stringify(value))
  await put("100.64.0.1", { ...document, network: "vpc-1" })
  await put("100.64.0.101", { ...document, network: "vpc-2" })
  await put("vpc-1", { privateAddresses: { "198.18.0.5": "172.31.0.12" } })
  await put("vpc-2", { privateAddresses: {} })
  await writeFile(join(directory, "token.key"), Buffer.alloc(32, 7))
  const [used, behindStub] = [join(lab.directory, "resolv.conf"), join(lab.directory, "behind-stub")]
  const files = ["--resolv-conf", used, "--resolv-conf-behind-stub", behindStub]
  await start("--directory", directory, "--public-cidr", publicCidr, ...files)
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within 60 s`)
    await delay(50)
  }
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit")
  child.kill("SIGKILL")
  await gone
}

test("a host with a resolver on 127.0.0.1 only: through the relay, also after it was killed", () =>
  scene(async ({ lab, socket, resolver, relay, ask, until }) => {
    await resolver(lab.host, "127.0.0.1", "192.0.2.10")
    assert.doesNotMatch(await ask("example.com"), /192\.0\.2\.10/, "the guests' side does not reach it")
    const first = await relay()
    await until("example.com", "192.0.2.10")
    await killed(first)
    const asked = ask("again.example.com")
    const second = await relay()
    assert.match(await asked, /192\.0\.2\.10/, "a question of the time between is answered")
    await killed(second)
    await relay()
    await until("more.example.com", "192.0.2.10")

    const others = ["setpriv", "--reuid=1999004", "--regid=1999004", "--clear-groups"]
    const knock = (...user: string[]) =>
      lab.exec(
        lab.host,
        ...user,
        process.execPath,
        "-e",
        `require("node:net").connect(${JSON.stringify(socket)})
        .on("error", (error) => { console.log(error.code); process.exit() }).on("connect", () => { console.log("open"); process.exit() })`,
      )
    assert.match(await knock(...others), /EACCES/, "nobody else may ask")
    assert.match(await knock("setpriv", `--reuid=1999002`, "--regid=1999002", "--clear-groups"), /open/)
  }))

test("behind systemd-resolved's stub: its servers are asked without the relay; without its list, the stub through it", () =>
  scene(async ({ lab, resolver, relay, resolvConf, behindStub, ask, until }) => {
    await resolver(lab.internet, internetAddress, "192.0.2.20")
    await resolver(lab.host, "127.0.0.53", "192.0.2.53")
    await resolvConf("nameserver 127.0.0.53\noptions edns0 trust-ad\n")
    await behindStub(`nameserver ${internetAddress}\n`)
    await until("direct.example.com", "192.0.2.20")
    await relay()
    assert.match(await ask("still.example.com"), /192\.0\.2\.20/, "what is reached directly is preferred")
    await behindStub("# none\n")
    await until("stub.example.com", "192.0.2.53")
  }))

test("a change of /etc/resolv.conf is followed: to the internet, and back to loopback", () =>
  scene(async ({ lab, resolver, relay, resolvConf, until }) => {
    await resolver(lab.internet, internetAddress, "192.0.2.20")
    await resolver(lab.host, "127.0.0.1", "192.0.2.10")
    await relay()
    await until("one.example.com", "192.0.2.10")
    await resolvConf(`nameserver ${internetAddress}\n`)
    await until("two.example.com", "192.0.2.20")
    await resolvConf("nameserver 127.0.0.1\n")
    await until("three.example.com", "192.0.2.10")
  }))

test("a direct resolver that is silent does not keep guests waiting where the relay knows", () =>
  scene(async ({ lab, resolver, relay, resolvConf, until }) => {
    await resolver(lab.host, "127.0.0.1", "192.0.2.10")
    await resolvConf("nameserver 203.0.113.77\nnameserver 127.0.0.1\n")
    await relay()
    await until("example.com", "192.0.2.10")
  }))

test("a public name is the private address in its VPC, the public one in another", () =>
  scene(async ({ ask }) => {
    const name = "ec2-198-18-0-5.compute-1.amazonaws.com"
    assert.match(await ask(name, 1), /172\.31\.0\.12/)
    assert.match(await ask(name, 101), /198\.18\.0\.5/)
  }))
