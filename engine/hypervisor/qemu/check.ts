import type { MachineSpec } from "../types.ts"
import { rootPorts } from "./argv.ts"

const text = /^[\x20-\x7e]{1,64}$/
/** Block nodes are named by disk ids, and their names end at 31 characters. */
const partId = /^[a-zA-Z][a-zA-Z0-9-]{0,21}$/

/** Ids become file names, and words in QEMU's arguments. */
export const isMachineId = (id: string): boolean => /^[a-z][a-z0-9-]{0,39}$/.test(id)

const within = (value: number, least: number, most: number) =>
  Number.isSafeInteger(value) && value >= least && value <= most

/** Throws, naming the machine and the member, when a specification is not one that this driver can run. */
export function checkSpec(spec: MachineSpec): void {
  const demand = (holds: boolean, what: string) => {
    if (!holds) throw new Error(`machine ${JSON.stringify(spec.id)}: ${what}`)
  }
  demand(isMachineId(spec.id), "bad id")
  demand(spec.architecture === "x86_64", `this driver runs no ${spec.architecture} machines`)
  demand(within(spec.vcpus, 1, 255), "bad vcpus")
  demand(within(spec.memoryMiB, 8, 1 << 22), "bad memoryMiB")
  demand(spec.cpuQuotaPercent === undefined || within(spec.cpuQuotaPercent, 1, 25_500), "bad cpuQuotaPercent")
  demand(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(spec.uuid), "bad uuid")
  demand(text.test(spec.manufacturer) && text.test(spec.product), "bad manufacturer or product")
  demand(within(spec.uid, 1, 0x7f_ff_ff_ff), "bad uid: a guest does not run as root")
  demand(spec.machineVersion === undefined || /^pc-q35-\d+\.\d+$/.test(spec.machineVersion), "bad machineVersion")
  demand(spec.boot.kind === "firmware" || /^[\x20-\x7e]{0,2000}$/.test(spec.boot.commandLine), "bad commandLine")
  demand(spec.disks.length + spec.nics.length <= rootPorts, `more than ${rootPorts} disks and nics`)
  for (const disk of spec.disks) {
    demand(partId.test(disk.id), `bad disk id ${JSON.stringify(disk.id)}`)
    demand(/^[\x20-\x7e]{0,20}$/.test(disk.serial), `disk ${disk.id}: bad serial`)
    demand(disk.format === "qcow2" || disk.format === "raw", `disk ${disk.id}: bad format`)
    demand(disk.secret === undefined || disk.format === "qcow2", `disk ${disk.id}: only qcow2 can be encrypted`)
    demand(disk.bootIndex === undefined || within(disk.bootIndex, 0, 99), `disk ${disk.id}: bad bootIndex`)
  }
  for (const nic of spec.nics) {
    demand(partId.test(nic.id), `bad nic id ${JSON.stringify(nic.id)}`)
    demand(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(nic.mac), `nic ${nic.id}: bad mac`)
    demand(within(nic.mtu, 576, 65_535), `nic ${nic.id}: bad mtu`)
    demand(/^[a-zA-Z0-9._-]{1,15}$/.test(nic.device), `nic ${nic.id}: bad device`)
    demand(/^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,63}$/.test(nic.namespace), `nic ${nic.id}: bad namespace`)
    demand(nic.namespace === spec.nics[0]?.namespace, "nics in different namespaces")
  }
  const parts = [...spec.disks, ...spec.nics].map((part) => part.id)
  demand(new Set(parts).size === parts.length, "two parts with one id")
}
