import type * as EC2 from "@aws-sdk/client-ec2"
import { test } from "node:test"
import type { Input, Operation, Output } from "./typed.ts"

const good: Input<typeof EC2, "RunInstances"> = { MinCount: 1, MaxCount: 1 }
// @ts-expect-error MaxCount is required
const missing: Input<typeof EC2, "RunInstances"> = { MinCount: 1 }
const answer: Output<typeof EC2, "DescribeInstances"> = { Reservations: [{ ReservationId: "r-1" }] }
// @ts-expect-error a misspelt member
const wrong: Output<typeof EC2, "DescribeInstances"> = { Reservations: [{ Reservationd: "x" }] }
// @ts-expect-error no such operation
const none: Operation<typeof EC2> = "NoSuchOperation"
const some: Operation<typeof EC2> = "RunInstances"

test("the types of handlers come from the SDK (checked by tsc)", () => {
  void [good, missing, answer, wrong, none, some]
})
