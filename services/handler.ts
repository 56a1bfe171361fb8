/** Types of a service's handlers, from the SDK's client of it: `HandlerOf<typeof SSM, "GetParameter">`. */
import type { Call } from "#cloud/call.ts"
import type { Input, Operation, Output } from "#wire/typed.ts"

export type HandlerOf<Client, O extends Operation<Client>> = (
  input: Input<Client, O>,
  call: Call,
) => Promise<Output<Client, O>>
/** A table of handlers: operation name -> handler, checked by the compiler. */
export type HandlersOf<Client> = { readonly [O in Operation<Client>]?: HandlerOf<Client, O> }
