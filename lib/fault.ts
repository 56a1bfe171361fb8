/**
 * An error that a caller of an API is meant to see: the service's own error code, an HTTP status and a message.
 * Anything else that is thrown while a request is served is a bug and answers `InternalError`, 500.
 */
export class Fault extends Error {
  readonly code: string
  readonly status: number
  constructor(code: string, message: string, status = 400) {
    super(message)
    this.name = "Fault"
    this.code = code
    this.status = status
  }
}
