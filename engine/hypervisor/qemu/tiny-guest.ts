/** Guests of a few bytes for tests: a boot sector that greets on the serial port, and then does as it was made to. */
import { truncateSync, writeFileSync } from "node:fs"
import type { MachineSpec } from "../types.ts"

export type TinyBehaviour = "obedient" | "deaf" | "power-off" | "chatty" | "writer"

const endings: { readonly [behaviour in TinyBehaviour]: string } = {
  // sti; hlt; jmp: asleep for ever
  deaf: "fbf4ebfd",
  // ACPI of q35: power button enabled (0x602), then its status (0x600) polled at each timer tick; S5 by 0x604
  obedient: "fbba0206b80001efba0006f4edf6c40174f9ba0406b80020effbf4ebfd",
  "power-off": "ba0406b80020effbf4ebfd",
  // mov dx,0x3f8; mov al,'x'; out dx,al; jmp
  chatty: "baf803b078eeebfd",
  // int 0x13 ah=0x43 over and over, eight sectors on each time, by the packet at 0x7d80; asleep when one fails
  writer: "be807db44330c0b280cd1372078306887d08ebeffbf4ebfd",
}

/** Writes a bootable raw disk (2 MiB: firmware wants a cylinder). */
export function writeTinyGuest(file: string, greeting: string, behaviour: TinyBehaviour): void {
  const disk = Buffer.alloc(512)
  // xor ax,ax; mov ds,ax; mov si,text; mov dx,0x3f8; lodsb; test al,al; jz end; out dx,al; jmp lodsb
  const code = Buffer.from("31c08ed8be007dbaf803ac84c07403eeebf8", "hex")
  code.copy(disk, 0)
  disk.write(endings[behaviour], code.length, "hex")
  // The text stands at 0x7d00.
  disk.write(`${greeting}\r\n\0`, 0x100, "latin1")
  disk.write("10000800007c00004000000000000000", 0x180, "hex")
  disk.writeUInt16LE(0xaa55, 510)
  writeFileSync(file, disk, { mode: 0o600 })
  truncateSync(file, 2 << 20)
}

/** A machine with such a guest as its only disk, written to `file`. */
export function tinySpec(id: string, file: string, behaviour: TinyBehaviour): MachineSpec {
  writeTinyGuest(file, `hello from ${id}`, behaviour)
  const uuid = "ec2c0de0-0000-4000-8000-000000000000"
  return {
    id,
    architecture: "x86_64",
    vcpus: 1,
    memoryMiB: 64,
    uuid,
    manufacturer: "Fractus, tests",
    product: "tiny",
    boot: { kind: "firmware" },
    disks: [{ id: "vol-root", serial: "volroot", path: file, format: "raw", bootIndex: 0 }],
    nics: [],
    uid: 2_099_999,
  }
}
