/**
 * What a machine is called by its own hardware, changed in a process of QEMU that runs. QEMU takes a machine's uuid, its board's asset tag,
 * a disk's serial and a card's address when it starts, has no command to change them, and gives them to the guest anew at each reset: a
 * clone that was started before anybody knew who it would be had to keep a stranger's. So it is started with names of the same lengths that
 * are random and stand nowhere else, and they are replaced where they stand in its memory, /proc/PID/mem (proc_pid_mem(5)).
 */
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs"

export interface HardwareNames {
  /** Of the machine, as its board's asset tag. */
  readonly id: string
  readonly uuid: string
  /** Of its only disk. */
  readonly serial: string
  /** Of its only card. */
  readonly mac: string
}

export interface NamedProcess {
  /** Whether they have the lengths that those of before have. */
  fits(to: HardwareNames): boolean
  /** Throws, and has changed nothing, when they do not fit or one of the old names is not where it was. */
  rename(to: HardwareNames): void
  close(): void
}

interface Form {
  readonly of: string
  /** Where it stands once at least in a process that will tell it to a guest. */
  readonly needed: boolean
  readonly bytes: (names: HardwareNames) => Buffer
}

const hexOf = (text: string) => Buffer.from(text.replaceAll(/[^0-9a-f]/g, ""), "hex")

/** The first three fields of a uuid stand in SMBIOS with their last byte first (DMTF DSP0134, 7.2.1). */
function smbiosUuid({ uuid }: HardwareNames): Buffer {
  const bytes = hexOf(uuid)
  for (const [from, to] of [
    [0, 4],
    [4, 6],
    [6, 8],
  ] as const)
    bytes.subarray(from, to).reverse()
  return bytes
}

const forms: readonly Form[] = [
  { of: "id", needed: true, bytes: ({ id }) => Buffer.from(id) },
  { of: "uuid", needed: true, bytes: ({ uuid }) => Buffer.from(uuid) },
  { of: "uuid of SMBIOS", needed: true, bytes: smbiosUuid },
  { of: "uuid as a number", needed: false, bytes: ({ uuid }) => hexOf(uuid) },
  { of: "serial", needed: true, bytes: ({ serial }) => Buffer.from(serial) },
  { of: "address", needed: true, bytes: ({ mac }) => hexOf(mac) },
  { of: "address in words", needed: false, bytes: ({ mac }) => Buffer.from(mac) },
]

/** Larger than any that QEMU keeps such things in. */
const largestBytes = 128 << 20

/** What is the process's own and not guest RAM: that is a file in memory of ours. */
function regions(pid: number): readonly { readonly from: number; readonly bytes: number }[] {
  return readFileSync(`/proc/${pid}/maps`, "latin1")
    .split("\n")
    .flatMap((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ \S+\s*(.*)$/.exec(line)
      if (!match || (match[3] ?? "").startsWith("/memfd:")) return []
      const [from, to] = [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)]
      return to - from > largestBytes ? [] : [{ from, bytes: to - from }]
    })
}

const stepBytes = 4 << 20

/** Where the bytes stand, each place once. What cannot be read is passed over. */
function find(fd: number, pid: number, wanted: readonly Buffer[]): readonly (readonly number[])[] {
  const found = wanted.map(() => new Set<number>())
  const longest = Math.max(...wanted.map((each) => each.length))
  const buffer = Buffer.alloc(stepBytes + longest)
  for (const { from, bytes } of regions(pid)) {
    for (let at = 0; at < bytes; at += stepBytes) {
      const size = Math.min(buffer.length, bytes - at)
      let read = 0
      try {
        read = readSync(fd, buffer, 0, size, from + at)
      } catch {
        continue
      }
      const part = buffer.subarray(0, read)
      for (const [index, pattern] of wanted.entries())
        for (let hit = part.indexOf(pattern); hit >= 0; hit = part.indexOf(pattern, hit + 1))
          found[index]!.add(from + at + hit)
    }
  }
  return found.map((each) => [...each])
}

/** Finds the names in the process; takes some 20 ms. Throws when one that is needed stands nowhere, or this host does not let us write. */
export function findNames(pid: number, names: HardwareNames): NamedProcess {
  const fd = openSync(`/proc/${pid}/mem`, "r+")
  const old = forms.map(({ bytes }) => bytes(names))
  /** Of each form the places where it stands now: what was freed since is something else. */
  const current = (places: readonly (readonly number[])[]) =>
    places.map((addresses, index) => {
      const there = addresses.filter((address) => {
        const now = Buffer.alloc(old[index]!.length)
        return readSync(fd, now, 0, now.length, address) === now.length && now.equals(old[index]!)
      })
      if (forms[index]!.needed && there.length === 0)
        throw new Error(`the process does not hold its ${forms[index]!.of}`)
      return there
    })
  const replace = (places: readonly (readonly number[])[], by: readonly Buffer[]) => {
    for (const [index, addresses] of places.entries())
      for (const address of addresses) writeSync(fd, by[index]!, 0, by[index]!.length, address)
  }
  try {
    const places = current(find(fd, pid, old))
    // Whether it may be written to is known before anybody relies on it.
    replace(places, old)
    const fits = (to: HardwareNames) => forms.every(({ bytes }, index) => bytes(to).length === old[index]!.length)
    return {
      fits,
      rename(to) {
        if (!fits(to)) throw new Error("its names have other lengths")
        const wanted = forms.map(({ bytes }) => bytes(to))
        replace(current(places), wanted)
      },
      close: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
