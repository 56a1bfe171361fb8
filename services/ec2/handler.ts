/** Types of EC2 handlers, from the SDK: `Handler<"RunInstances">`. */
import type * as EC2 from "@aws-sdk/client-ec2"
import type { Input as InputOf, Operation as OperationOf, Output as OutputOf } from "#wire/typed.ts"
import type { HandlerOf, HandlersOf } from "../handler.ts"

export type Operation = OperationOf<typeof EC2>
export type Input<O extends Operation> = InputOf<typeof EC2, O>
export type Output<O extends Operation> = OutputOf<typeof EC2, O>
export type Handler<O extends Operation> = HandlerOf<typeof EC2, O>
/** The table of one family: operation name -> handler, checked by the compiler. */
export type Handlers = HandlersOf<typeof EC2>
