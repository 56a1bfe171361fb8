/** EC2's errors as rows. Codes and wording follow "Error codes for the Amazon EC2 API". One row per code, sorted. */
import { commonErrors, defineErrors } from "#cloud/errors.ts"

export const errors = {
  ...commonErrors,
  DependencyViolation: [400, "resource {id} has a dependent object"],
  IncorrectInstanceState: [400, "The instance '{id}' is not in a state from which it can be {action}."],
  InsufficientFreeAddressesInSubnet: [
    400,
    "There are not enough free addresses in subnet '{id}' to satisfy the requested number of instances.",
  ],
  InsufficientInstanceCapacity: [500, "There is no Spot capacity available that matches your request."],
} as const

export const raise = defineErrors(errors)
