/** How a request may be told to end early. Most never are, and an AbortController costs: its signal is made for who asks. */
export interface Ending {
  /** The first reason counts. */
  abort(reason: unknown): void
  readonly signal: AbortSignal
  readonly isAborted: boolean
}

export function createEnding(): Ending {
  let controller: AbortController | undefined
  let ended: { readonly reason: unknown } | undefined
  return {
    abort(reason) {
      ended ??= { reason }
      controller?.abort(ended.reason)
    },
    get signal() {
      controller ??= new AbortController()
      if (ended) controller.abort(ended.reason)
      return controller.signal
    },
    get isAborted() {
      return ended !== undefined
    },
  }
}
