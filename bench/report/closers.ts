/** What a benchmark has to take back, in the opposite order, also when it is interrupted. */

export interface Closers {
  add(close: () => Promise<void>): void
  /** Runs all; the first failure is thrown once the rest is done. */
  close(): Promise<void>
}

/** From now on SIGINT and SIGTERM run the closers and then end the process. */
export function openClosers(): Closers {
  const all: (() => Promise<void>)[] = []
  let closing: Promise<void> | undefined
  const run = async () => {
    const failures: unknown[] = []
    for (const close of all.toReversed()) await close().catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }
  const close = () => (closing ??= run())
  const interrupted = () => {
    const end = () => process.exit(130)
    close().then(end, end)
  }
  process.once("SIGINT", interrupted)
  process.once("SIGTERM", interrupted)
  return { add: (one) => void all.push(one), close }
}
