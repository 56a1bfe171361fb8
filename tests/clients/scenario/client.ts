/** What a client of the scenario does: one call at a time, answered in plain JSON. */
import type { SimDaemon } from "#tests/rig/daemon.ts"

/** What a client has to know of a cloud. */
export type Access = Pick<SimDaemon, "endpoint" | "credentials" | "env">

export type Service = "ec2" | "sts"

/** What came back: the answer's members, or the error as the client shows it. */
export type Answer =
  | { readonly result: Readonly<Record<string, unknown>> }
  | { readonly error: { readonly code: string; readonly message: string } }

export interface Request {
  readonly service: Service
  readonly operation: string
  readonly input: Readonly<Record<string, unknown>>
  /** The command line after the command, where people write it otherwise than the input's members one by one. */
  readonly cli?: readonly string[]
}

export interface Client {
  readonly name: string
  call(request: Request): Promise<Answer>
  /** Waits by the client's own waiter: "InstanceRunning". */
  wait(waiter: string, input: Readonly<Record<string, unknown>>): Promise<Answer>
  close(): Promise<void>
}
