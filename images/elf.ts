/** Reads what a 64-bit little-endian ELF file asks of the dynamic loader. */

export interface DynamicNeeds {
  /** Path of the dynamic loader; undefined for libraries and static programs. */
  readonly interpreter: string | undefined
  /** Names of shared libraries (DT_NEEDED). */
  readonly libraries: readonly string[]
  /** Folders to look in first (DT_RUNPATH, DT_RPATH), as written in the file. */
  readonly searchPaths: readonly string[]
}

const segmentLoad = 1
const segmentDynamic = 2
const segmentInterpreter = 3
const tagNeeded = 1
const tagStringTable = 5
const tagRpath = 15
const tagRunpath = 29

/** Undefined when the file is no such ELF file. Throws RangeError when it is cut off. */
export function dynamicNeeds(file: Buffer): DynamicNeeds | undefined {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) return undefined
  const segments = readSegments(file)
  const interpreter = segments.find(({ type }) => type === segmentInterpreter)
  const dynamic = segments.find(({ type }) => type === segmentDynamic)
  return {
    interpreter: interpreter && text(file, interpreter.offset),
    ...(dynamic ? readDynamic(file, dynamic, segments) : { libraries: [], searchPaths: [] }),
  }
}

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

function readSegments(file: Buffer): Segment[] {
  const start = Number(file.readBigUInt64LE(32))
  const entrySize = file.readUInt16LE(54)
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = start + index * entrySize
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      size: Number(file.readBigUInt64LE(at + 32)),
    }
  })
}

function readDynamic(
  file: Buffer,
  dynamic: Segment,
  segments: readonly Segment[],
): Pick<DynamicNeeds, "libraries" | "searchPaths"> {
  const libraries: number[] = []
  const paths: number[] = []
  let strings = 0
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const tag = Number(file.readBigInt64LE(at))
    const value = Number(file.readBigUInt64LE(at + 8))
    if (tag === 0) break
    if (tag === tagNeeded) libraries.push(value)
    if (tag === tagRpath || tag === tagRunpath) paths.push(value)
    if (tag === tagStringTable) strings = fileOffset(segments, value)
  }
  return {
    libraries: libraries.map((name) => text(file, strings + name)),
    searchPaths: paths.flatMap((path) => text(file, strings + path).split(":")),
  }
}

function fileOffset(segments: readonly Segment[], address: number): number {
  const home = segments.find(
    (segment) => segment.type === segmentLoad && address >= segment.address && address < segment.address + segment.size,
  )
  if (!home) throw new RangeError("the dynamic section points outside of the file")
  return home.offset + address - home.address
}

function text(file: Buffer, start: number): string {
  const end = file.indexOf(0, start)
  if (end < 0) throw new RangeError("a name runs past the end of the file")
  return file.toString("latin1", start, end)
}
