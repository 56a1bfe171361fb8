import assert from "node:assert/strict"
import { test } from "node:test"
import type { MachineSpec } from "../types.ts"
import { machineArguments, rootPorts, type Surroundings } from "./argv.ts"
import { checkSpec } from "./check.ts"

const spec: MachineSpec = {
  id: "i-0123456789abcdef0",
  architecture: "x86_64",
  vcpus: 2,
  memoryMiB: 512,
  uuid: "ec2c0de0-0000-4000-8000-000000000000",
  manufacturer: "Example, Inc",
  product: "t3.nano",
  boot: { kind: "kernel", kernelPath: "/k", initrdPath: "/i", commandLine: "console=ttyS0 a=b,c" },
  disks: [{ id: "vol-0123456789abcdef0", serial: "vol0123456789abcdef0", path: "/d", format: "qcow2", bootIndex: 0 }],
  nics: [{ id: "eni-1", mac: "02:00:00:00:00:01", mtu: 9001, device: "tap0", namespace: "one" }],
  uid: 2_000_000,
}
const around: Surroundings = {
  binary: "/qemu",
  accelerator: "tcg",
  machineVersion: "pc-q35-7.2",
  nonce: "abc",
  disks: [
    [
      { path: "/d", format: "qcow2", fd: 3 },
      { path: "/base", format: "qcow2", fd: 4 },
    ],
  ],
  secrets: [undefined],
  kernelFd: 5,
  initrdFd: 6,
}
const values = (argv: readonly string[], option: string) =>
  argv.flatMap((word, index) => (word === option ? [argv[index + 1] ?? ""] : []))

test("the machine is pinned, sandboxed, stopped, and translated within bounds", () => {
  const argv = machineArguments(spec, around)
  assert.match(values(argv, "-machine")[0] ?? "", /^pc-q35-7\.2,/)
  assert.ok(argv.includes("-S") && argv.includes("-nodefaults") && argv.includes("-no-user-config"))
  assert.deepEqual(values(argv, "-accel"), ["tcg,tb-size=64"])
  assert.deepEqual(values(argv, "-cpu"), ["max"])
  assert.match(values(argv, "-sandbox")[0] ?? "", /spawn=deny/)
  const kvm = machineArguments(spec, { ...around, accelerator: "kvm" })
  assert.deepEqual([values(kvm, "-accel"), values(kvm, "-cpu")], [["kvm"], ["host"]])
})

test("no option can be smuggled in by a comma", () => {
  const argv = machineArguments(spec, around)
  assert.ok(values(argv, "-smbios").includes("type=0,vendor=Example,, Inc"))
  assert.deepEqual(values(argv, "-append"), ["console=tty0 console=ttyS0 a=b,c"])
})

test("each layer of a disk is a node over an open file, below before above, and none is opened by name", () => {
  const nodes = values(machineArguments(spec, around), "-blockdev").map((text) => JSON.parse(text))
  const names = nodes.map((node) => node["node-name"])
  for (const node of nodes) {
    assert.ok(node["node-name"].length <= 31, node["node-name"])
    for (const below of [node.file, node.backing]) {
      if (typeof below === "string") assert.ok(names.indexOf(below) < names.indexOf(node["node-name"]), below)
    }
  }
  const files = nodes.filter((node) => node.driver === "file")
  assert.deepEqual(
    new Map(files.map((node) => [node.filename, node["read-only"]])),
    new Map([
      ["/dev/fdset/3", false],
      ["/dev/fdset/4", true],
    ]),
  )
  assert.equal(nodes.find((node) => node["node-name"] === `${spec.disks[0]?.id}.1.format`).backing, null)
  assert.equal(nodes.at(-1).driver, "throttle")
})

test("an encrypted disk's secret is a descriptor, and opens its top layer alone", () => {
  const disks = spec.disks.map((disk) => ({ ...disk, secret: () => "never said" }))
  const argv = machineArguments({ ...spec, disks }, { ...around, secrets: [7] })
  assert.ok(!argv.join(" ").includes("never said"))
  const secret = `secret-${spec.disks[0]?.id}`
  assert.ok(values(argv, "-object").includes(`secret,id=${secret},file=/proc/self/fd/7`))
  const encrypted = values(argv, "-blockdev")
    .map((text) => JSON.parse(text))
    .filter((node) => "encrypt" in node)
  assert.deepEqual(
    encrypted.map((node) => [node["node-name"], node.encrypt]),
    [[`${spec.disks[0]?.id}.format`, { format: "luks", "key-secret": secret }]],
  )
  assert.throws(() => checkSpec({ ...spec, disks: disks.map((disk) => ({ ...disk, format: "raw" })) }), /only qcow2/)
})

test("all hot-plug ports are there from the start, and what is there sits in its own", () => {
  const devices = values(machineArguments(spec, around), "-device")
  const ports = devices.filter((device) => device.startsWith("pcie-root-port"))
  assert.equal(ports.length, rootPorts)
  assert.equal(new Set(ports.map((port) => /addr=([^,]+)/.exec(port)?.[1])).size, rootPorts)
  assert.ok(devices.some((device) => device.startsWith("virtio-blk-pci") && device.includes("bus=rp0")))
  assert.ok(devices.some((device) => device.startsWith("virtio-net-pci") && device.includes("bus=rp1")))
})

test("beside a direct kernel no disk claims to boot", () => {
  const disk = (boot: MachineSpec["boot"]) =>
    values(machineArguments({ ...spec, boot }, around), "-device").find((device) => device.startsWith("virtio-blk"))
  assert.doesNotMatch(disk(spec.boot) ?? "", /bootindex/)
  assert.match(disk({ kind: "firmware" }) ?? "", /bootindex=0/)
})

test("a specification is refused for what would be dangerous in an argument or a path", () => {
  checkSpec(spec)
  const [disk] = spec.disks
  const [nic] = spec.nics
  assert.ok(disk && nic)
  const bad: readonly Partial<MachineSpec>[] = [
    { id: "../x" },
    { id: "I-1" },
    { uid: 0 },
    { architecture: "arm64" },
    { memoryMiB: Number.NaN },
    { product: "a\nb" },
    { uuid: "x" },
    { machineVersion: "q35,accel=kvm" },
    { boot: { kind: "kernel", kernelPath: "/k", initrdPath: "/i", commandLine: "\0" } },
    { disks: [{ ...disk, id: "a,b" }] },
    { disks: [disk, disk] },
    { nics: [{ ...nic, device: "tap0,script=/x" }] },
    { nics: [{ ...nic, namespace: "../../etc" }] },
    { nics: [{ ...nic, mac: "02:00:00:00:00:1" }] },
    { nics: [nic, { ...nic, id: "eni-2", namespace: "two" }] },
    { disks: Array.from({ length: rootPorts }, (_, index) => ({ ...disk, id: `vol-${index}` })) },
  ]
  for (const change of bad)
    assert.throws(() => checkSpec({ ...spec, ...change }), /^Error: machine/, JSON.stringify(change))
})
