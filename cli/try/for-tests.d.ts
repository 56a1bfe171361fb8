/** A cloud of its own, gone when it is closed or when this process ends, however it ends. */
export interface Cloud extends AsyncDisposable {
  /** Such as http://127.0.0.1:40067. */
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** This process's environment, pointing the AWS CLI, every SDK and `fractus` to this cloud: for processes that a test starts. */
  readonly env: Record<string, string>
  /** The machine images that can be launched. */
  readonly images: readonly { readonly id: string; readonly name: string }[]
  /** Resolves when nothing is pending: what was launched runs, what was terminated is gone. Rejects after `timeoutS` (30, at most 600). */
  settled(options?: { readonly timeoutS?: number }): Promise<void>
  /** Empties the cloud, keys excepted, in a few milliseconds. Simulated clouds only; others reject. */
  reset(): Promise<void>
  /** Ends it. Resolves when no process and no file of it is left. A second call does nothing more. */
  close(): Promise<void>
}

export interface CloudOptions {
  /** "sim" (default): instances are records, no privileges are needed. "qemu": real guests, as root. */
  readonly engine?: "sim" | "qemu"
}

/** Starts a cloud. Rejects with what Fractus says when it does not start. */
export function cloud(options?: CloudOptions): Promise<Cloud>
