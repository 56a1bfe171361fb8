/**
 * A disk that proves an accelerator: it does what a stock kernel does first, and ends QEMU with a status that nothing
 * else gives. A host may have a /dev/kvm that opens, makes machines, and then cannot run real-mode code or set an MSR.
 */

/** Exit status of QEMU with `-device isa-debug-exit,iobase=0xf4` when the code below came to its end. */
export const provenStatus = (0x10 << 1) | 1

const code = [
  "fa31c08ed88ec08ed0bc007cfcfb", // cli; segments = 0; sp = 0x7c00; cld; sti
  "b441bbaa55b280cd13", // int 0x13 ah=0x41: are there EDD calls
  "b80102b90100ba8000bb0060cd13727c", // int 0x13 ah=2: read the first sector to 0x6000; jc fail
  "66b820e800006631db66b91400000066ba50414d53bf0060cd157260", // int 0x15 eax=0xe820: memory map; jc fail
  "fa66bf001000006631c0b9000c66f3ab", // cli; clear three pages at 0x1000
  "66c706001003200000", // page tables: the first 2 MiB, mapped one to one
  "66c706002003300000",
  "66c706003083000000",
  "660f0116dc7c", // lgdt
  "0f20e00c200f22e0", // cr4: PAE
  "66b8001000000f22d8", // cr3 = 0x1000
  "66b9800000c00f3280cc010f30", // EFER: long mode
  "0f20c0660d010000800f22c0", // cr0: paging, protected mode
  "eaa67c0800", // jump to 64 bits
  "f4ebfd", // fail: hlt; jmp fail
  "b91b0000000f32", // rdmsr: APIC base
  "b9fe0000000f32", // rdmsr: MTRR capabilities
  "b9770200000f320f30", // rdmsr, wrmsr: PAT
  "31c00fa2", // cpuid
  "b01066baf400ee", // out 0xf4, 0x10
  "f4ebfd90", // hlt for ever
  "000000000000000000000000009a20000f00cc7c0000", // gdt: null, 64-bit code; its pointer
].join("")

/** A raw disk image of 2 MiB: firmware refuses to boot from less than a cylinder. */
export function proofDisk(): Buffer {
  const disk = Buffer.alloc(2 << 20)
  disk.write(code, 0, "hex")
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}
