/** From a specification to QEMU's arguments. Pure: opens and asks nothing. */
import type { Disk, MachineSpec } from "../types.ts"
import type { Layer } from "./disk-chain.ts"

/** What the specification does not say. File descriptors are numbers as QEMU will see them. */
export interface Surroundings {
  readonly binary: string
  readonly accelerator: "kvm" | "tcg"
  /** "pc-q35-7.2" */
  readonly machineVersion: string
  /** Part of `-name`: the process is found by it again. */
  readonly nonce: string
  /** For each disk its layers, top first, each open (the top for writing). */
  readonly disks: readonly (readonly (Layer & { readonly fd: number })[])[]
  /** For each disk its pass phrase, open; undefined: it is not encrypted. */
  readonly secrets: readonly (number | undefined)[]
  readonly kernelFd?: number
  readonly initrdFd?: number
  /** The file that is guest RAM. `shared`: what the guest writes goes there; otherwise it is the guest's own. */
  readonly memory?: { readonly fd: number; readonly shared: boolean }
  /** The state of a template is loaded before the guest runs. */
  readonly incoming?: boolean
}

/**
 * Hot-plug ports that every machine has from its first launch: q35's own bus takes no device later. Disks and network
 * interfaces of the launch sit in the first ones, so they can be detached. Each costs a boot under TCG some 20 ms of CPU
 * (firmware and kernel look into it), so there are not the 28 that EC2 allows. Eight share a slot.
 */
export const rootPorts = 16

/** Size of TCG's buffer of translated code. Without it QEMU takes up to a GiB beside the guest's RAM. */
export const translationBufferMiB = 64

/** Room for serial output that nobody has read yet. A power of two. */
export const consoleRingBytes = 1 << 18

export const serialChardev = "serial0"

/** QEMU's own arguments, the binary first. The working directory is where its sockets go. */
export function machineArguments(spec: MachineSpec, around: Surroundings): string[] {
  return [
    around.binary,
    ["-name", `guest=${spec.id}/${around.nonce}`],
    ["-no-user-config", "-nodefaults", "-display", "none", "-S"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ["-machine", `${around.machineVersion},memory-backend=ram0,dump-guest-core=off,vmport=off,usb=off`],
    ...processor(spec, around.accelerator),
    ["-m", `${spec.memoryMiB}M`, "-object", memory(spec, around)],
    ...identity(spec),
    ["-rtc", "base=utc"],
    // A guest that powers off stays as a stopped process: why it stopped can be asked later, also by a new daemon.
    ["-action", "panic=none,shutdown=pause,reboot=reset"],
    ["-global", "ICH9-LPC.disable_s3=1", "-global", "ICH9-LPC.disable_s4=1"],
    ...controls(),
    ...ports(),
    // What a screenshot shows. Four MiB are 1280 x 800 in true colour; a guest gets at no more of our memory by it.
    ["-device", "VGA,id=display,bus=pcie.0,addr=0x1,vgamem_mb=4"],
    ...spec.disks.flatMap((disk, index) => [
      ...secretArguments(disk, around.secrets[index]),
      ...diskArguments(disk, around.disks[index] ?? [], index, spec.boot.kind),
    ]),
    ...spec.nics.flatMap((nic, index) => [
      ["-netdev", `tap,id=net-${nic.id},ifname=${nic.device},script=no,downscript=no,vhost=off`],
      "-device",
      `virtio-net-pci,id=nic-${nic.id},netdev=net-${nic.id},mac=${nic.mac},host_mtu=${nic.mtu},` +
        `romfile=,bus=rp${spec.disks.length + index}`,
    ]),
    ...boot(spec, around),
    ...(around.incoming ? ["-incoming", "defer"] : []),
  ].flat()
}

function memory({ memoryMiB }: MachineSpec, { memory: file }: Surroundings): string {
  const kind = file
    ? `memory-backend-file,mem-path=/proc/self/fd/${file.fd},share=${file.shared ? "on" : "off"}`
    : "memory-backend-ram"
  return `${kind},id=ram0,size=${memoryMiB}M`
}

function processor(spec: MachineSpec, accelerator: "kvm" | "tcg"): string[] {
  const smp = ["-smp", `${spec.vcpus},sockets=1,cores=${spec.vcpus},threads=1`]
  return accelerator === "kvm"
    ? ["-accel", "kvm", "-cpu", "host", ...smp]
    : ["-accel", `tcg,tb-size=${translationBufferMiB}`, "-cpu", "max", ...smp]
}

/** SMBIOS, by which a guest's cloud-init knows where it is: system, and the board's asset tag with the machine's id. */
function identity(spec: MachineSpec): string[] {
  const maker = quote(spec.manufacturer)
  const product = quote(spec.product)
  return [
    ["-uuid", spec.uuid],
    ["-smbios", `type=0,vendor=${maker}`],
    ["-smbios", `type=1,manufacturer=${maker},product=${product},serial=${spec.uuid},uuid=${spec.uuid}`],
    ["-smbios", `type=2,manufacturer=${maker},asset=${spec.id}`],
    ["-smbios", `type=3,manufacturer=${maker}`],
  ].flat()
}

/** How we talk to QEMU and to the guest, and what tells us of its end. */
function controls(): string[] {
  return [
    ["-chardev", "socket,id=qmp,path=qmp.sock,server=on,wait=off", "-mon", "chardev=qmp,mode=control"],
    ["-chardev", `ringbuf,id=${serialChardev},size=${consoleRingBytes}`],
    ["-device", `isa-serial,chardev=${serialChardev}`],
    ["-device", "virtio-serial-pci,id=channels,bus=pcie.0,addr=0x10,max_ports=4"],
    ["-chardev", "socket,id=agent,path=agent.sock,server=on,wait=off"],
    ["-device", "virtserialport,bus=channels.0,nr=1,chardev=agent,name=org.qemu.guest_agent.0"],
    // Where a clone of a template is told who it is: images/agent.
    ["-chardev", "socket,id=identity,path=identity.sock,server=on,wait=off"],
    ["-device", "virtserialport,bus=channels.0,nr=2,chardev=identity,name=org.fractus.identity"],
    ["-object", "rng-builtin,id=entropy", "-device", "virtio-rng-pci,rng=entropy,bus=pcie.0,addr=0x11"],
    ["-device", "pvpanic-pci,bus=pcie.0,addr=0x12"],
  ].flat()
}

/** No port reserves I/O space: there is too little for this many, and virtio 1.0 wants none. */
function ports(): string[] {
  return Array.from({ length: rootPorts }, (_, index) => {
    const address = `0x${(2 + (index >> 3)).toString(16)}.${index & 7}`
    const many = (index & 7) === 0 ? ",multifunction=on" : ""
    const number = index + 1
    return `pcie-root-port,id=rp${index},bus=pcie.0,addr=${address}${many},chassis=${number},port=${number},io-reserve=0`
  }).flatMap((port) => ["-device", port])
}

/** By descriptor: arguments are for all to see. */
const secretArguments = (disk: Disk, fd: number | undefined): string[] =>
  fd === undefined ? [] : ["-object", `secret,id=secret-${disk.id},file=/proc/self/fd/${fd}`]

/** A throttle filter on a format on a file, and so down the chain; the filter has the disk's own id as its name. */
function diskArguments(
  disk: Disk,
  layers: Surroundings["disks"][number],
  index: number,
  boot: MachineSpec["boot"]["kind"],
): string[] {
  const nodes = layers.flatMap((layer, depth) => {
    const name = depth === 0 ? disk.id : `${disk.id}.${depth}`
    const write = depth === 0
    const below = layers[depth + 1] ? `${disk.id}.${depth + 1}.format` : null
    const shared = { "read-only": !write, discard: "unmap" }
    const zeroes = write ? { "detect-zeroes": "unmap" } : {}
    const encrypted = write && disk.secret !== undefined
    return [
      { ...shared, driver: "file", "node-name": `${name}.file`, filename: `/dev/fdset/${layer.fd}` },
      {
        ...shared,
        ...zeroes,
        driver: layer.format,
        "node-name": `${name}.format`,
        file: `${name}.file`,
        // Named or explicitly none: otherwise QEMU follows the header.
        ...(layer.format === "qcow2" && { backing: below }),
        // A file that says it is not encrypted is refused, and so is one that says it is where none should be.
        ...(encrypted && { encrypt: { format: "luks", "key-secret": `secret-${disk.id}` } }),
      },
    ]
  })
  const throttle = { driver: "throttle", "node-name": disk.id, "throttle-group": `limit-${disk.id}` }
  // Beside a direct kernel, QEMU itself takes the first place.
  const boots = disk.bootIndex === undefined || boot === "kernel" ? "" : `,bootindex=${disk.bootIndex}`
  return [
    ...layers.flatMap((layer) => ["-add-fd", `fd=${layer.fd},set=${layer.fd}`]),
    ...nodes
      .toReversed()
      .toSorted(fileFirst)
      .flatMap((node) => ["-blockdev", JSON.stringify(node)]),
    ["-object", `throttle-group,id=limit-${disk.id}`],
    [
      "-blockdev",
      JSON.stringify({ ...throttle, file: `${disk.id}.format`, discard: "unmap", "detect-zeroes": "unmap" }),
    ],
    "-device",
    `virtio-blk-pci,id=disk-${disk.id},drive=${disk.id},serial=${quote(disk.serial)},bus=rp${index}${boots},` +
      "werror=enospc,rerror=report",
  ].flat()
}

/** A node may only name nodes that exist. */
const fileFirst = (one: { driver: string }, two: { driver: string }) =>
  Number(one.driver !== "file") - Number(two.driver !== "file")

function boot(spec: MachineSpec, around: Surroundings): string[] {
  if (spec.boot.kind === "firmware") return ["-boot", "strict=on"]
  return [
    ["-kernel", `/proc/self/fd/${around.kernelFd}`, "-initrd", `/proc/self/fd/${around.initrdFd}`],
    // The display shows the kernel's messages too; the console named last stays the main one.
    [
      "-append",
      /\bconsole=tty0\b/.test(spec.boot.commandLine) ? spec.boot.commandLine : `console=tty0 ${spec.boot.commandLine}`,
    ],
  ].flat()
}

/** In QEMU's option strings a comma is written twice. */
const quote = (value: string): string => value.replaceAll(",", ",,")
