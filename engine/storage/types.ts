/** The storage engine: volumes that keep bytes. Knows no cloud. Drivers: `qcow2/`, `sim/`; suite: `conformance.ts`. */

export interface VolumeSpec {
  readonly id: string
  readonly sizeBytes: number
  /** An image of this engine whose bytes the volume starts with (copy on write); undefined: zeroes. */
  readonly image?: string
  /** A snapshot of this engine, of which the volume is a copy; never beside `image`. One that is encrypted needs a `key`. */
  readonly snapshot?: string
  /** Name of a key of this host. With it, bytes at rest are encrypted with a data key of the volume's own, which this key wraps. */
  readonly key?: string
}

/** The bytes of a volume, a snapshot or an image, kept for themselves: whatever becomes of where they come from. Never written again. */
export interface SnapshotSpec {
  readonly id: string
  readonly from: { readonly volume: string } | { readonly snapshot: string } | { readonly image: string }
  /** As a volume's. What comes of something encrypted needs one. */
  readonly key?: string
}

/** Runs the part of some work that needs its sources to stand still, and gives what that gives. */
export type Still = <T>(work: () => Promise<T>) => Promise<T>

export interface PresentedVolume {
  readonly path: string
  readonly format: "qcow2" | "raw"
  /** The image beneath, from our record: the file's own header is the guest's to write and not to be followed. */
  readonly backing?: { readonly path: string; readonly format: "qcow2" }
  /** The file of the snapshot that this one is a copy of, larger perhaps, as long as nobody has written to it. Neither is encrypted. */
  readonly copyOf?: string
  /** Of an encrypted one: its LUKS pass phrase. A function, so that no log, trace or record that the volume gets into holds it. */
  readonly secret?: () => string
}

export interface StorageEngine {
  readonly name: "qcow2" | "sim"
  /** Take over an image file (qcow2, read-only from now on) under an id. Idempotent. */
  importImage(id: string, path: string): Promise<void>
  hasImage(id: string): Promise<boolean>
  removeImage(id: string): Promise<void>
  /** Virtual size of an image in bytes. */
  imageSize(id: string): Promise<number>
  /** Constant time from an image. Idempotent by id. Refuses a size smaller than the image's. Makes a key that is not there. */
  createVolume(spec: VolumeSpec): Promise<void>
  hasVolume(id: string): Promise<boolean>
  inspectVolume(id: string): Promise<{ readonly sizeBytes: number; readonly allocatedBytes: number }>
  listVolumes(): Promise<readonly string[]>
  /**
   * Snapshots of one moment, that of `still`, in which no source is written to; the rest of the work, which takes as long as the bytes are many, comes
   * after it. Those that are there stay as they are. Throws `not-found` for a source that is gone, `invalid` for one that is no disk.
   */
  createSnapshots(specs: readonly SnapshotSpec[], still: Still): Promise<void>
  hasSnapshot(id: string): Promise<boolean>
  listSnapshots(): Promise<readonly string[]>
  /** Volumes that were made of it stay. Idempotent. */
  removeSnapshot(id: string): Promise<void>
  /** Its data key goes with it. */
  removeVolume(id: string): Promise<void>
  /** Let processes of `uid` open the volume; where its file is. Undone by `release`. `no-key`: nobody can read it now. */
  present(id: string, uid: number): Promise<PresentedVolume>
  release(id: string): Promise<void>
  close(): Promise<void>
}
