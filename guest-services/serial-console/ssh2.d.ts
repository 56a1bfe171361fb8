/** What is used here of ssh2, which has no types of its own. https://github.com/mscdex/ssh2 */
declare module "ssh2" {
  import type { EventEmitter } from "node:events"
  import type { Server as NetServer, Socket } from "node:net"
  import type { Duplex } from "node:stream"

  interface ParsedKey {
    verify(data: Buffer, signature: Buffer, algorithm?: string): boolean | Error
  }
  interface AuthContext {
    readonly method: string
    readonly username: string
    /** With "publickey". */
    readonly key?: { readonly algo: string; readonly data: Buffer }
    /** Missing where the client only asks whether the key would do. */
    readonly signature?: Buffer
    readonly blob?: Buffer
    readonly hashAlgo?: string
    accept(): void
    reject(methods?: readonly string[]): void
  }
  interface Channel extends Duplex {
    readonly stderr: Duplex
    exit(status: number): void
  }
  type Accept<T> = (() => T) | undefined
  type Reject = (() => void) | undefined
  interface Session extends EventEmitter {
    on(event: "pty" | "window-change", listener: (accept: Accept<void>, reject: Reject) => void): this
    on(event: "shell", listener: (accept: Accept<Channel>, reject: Reject) => void): this
  }
  interface Connection extends EventEmitter {
    on(event: "authentication", listener: (context: AuthContext) => void): this
    on(event: "session", listener: (accept: Accept<Session>, reject: Reject) => void): this
    on(event: "ready" | "close", listener: () => void): this
    on(event: "error", listener: (error: Error) => void): this
    end(): void
  }
  interface Options {
    readonly hostKeys: readonly Buffer[]
    readonly ident?: string
    readonly keepaliveInterval?: number
    readonly keepaliveCountMax?: number
  }
  class Server extends EventEmitter {
    constructor(options: Options, connected: (client: Connection) => void)
    injectSocket(socket: Socket): void
    listen: NetServer["listen"]
  }
  const ssh2: {
    readonly Server: typeof Server
    readonly utils: { parseKey(key: string): ParsedKey | Error }
  }
  export default ssh2
  export type { AuthContext, Channel, Connection, Session }
}
