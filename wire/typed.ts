/** Types of handlers, taken from an SDK client's commands: `Input<typeof EC2, "RunInstances">`. Compile time only. */

type CommandNames<Client> = Extract<keyof Client, `${string}Command`>
export type Operation<Client> =
  CommandNames<Client> extends infer Name
    ? Name extends `${infer O}Command`
      ? O extends "$" | ""
        ? never
        : O
      : never
    : never
type CommandOf<Client, O extends string> = `${O}Command` extends keyof Client
  ? Client[`${O}Command`] extends { prototype: infer C }
    ? C
    : never
  : never
type Strip<T> = { [K in keyof T as K extends "$metadata" ? never : K]: T[K] }
export type Input<Client, O extends string> = CommandOf<Client, O> extends { input: infer I } ? I : never
export type Output<Client, O extends string> =
  CommandOf<Client, O> extends {
    resolveMiddleware(...args: never[]): infer R
  }
    ? R extends (...args: never[]) => Promise<{ output: infer Out }>
      ? Strip<Out>
      : never
    : never
