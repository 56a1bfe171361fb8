/** How a request may be told to end early. Most never are, and an AbortController costs: its signal is made for who asks. */
export class Ending {
  #controller: AbortController | undefined
  #ended: { readonly reason: unknown } | undefined

  /** The first reason counts. */
  abort(reason: unknown): void {
    this.#ended ??= { reason }
    this.#controller?.abort(this.#ended.reason)
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#ended) this.#controller.abort(this.#ended.reason)
    return this.#controller.signal
  }
}
