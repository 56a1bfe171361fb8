/** Errors of EC2 Instance Connect, by the service's own model. */
import { commonErrors, defineErrors } from "#cloud/errors.ts"

export const errors = {
  ...commonErrors,
  EC2InstanceNotFoundException: [400, "The instance {id} was not found."],
  EC2InstanceStateInvalidException: [400, "The instance {id} is not running."],
  EC2InstanceTypeInvalidException: [
    400,
    "The instance type {type} is not supported for connecting via the serial console. Only Nitro instance types are supported.",
  ],
  InvalidArgsException: [400, "{detail}"],
  SerialConsoleAccessDisabledException: [
    400,
    "Your account is not authorized to use the EC2 Serial Console. To authorize your account, run the EnableSerialConsoleAccess API.",
  ],
  SerialConsoleSessionLimitExceededException: [
    400,
    "The instance currently has 1 active serial console session. Only 1 session is supported at a time.",
  ],
  SerialConsoleSessionUnavailableException: [500, "Unable to start a serial console session. Please try again."],
  ThrottlingException: [400, "The instance {id} has {limit} keys that did not expire yet."],
} as const

export const raise = defineErrors(errors)
