/** EC2's errors as rows. Codes and wording follow "Error codes for the Amazon EC2 API". One row per code, sorted. */
import { commonErrors, defineErrors } from "#cloud/errors.ts"

export const errors = {
  ...commonErrors,
  CannotDelete: [400, 'the specified group: "{id}" name: "default" cannot be deleted by a user'],
  DependencyViolation: [400, "resource {id} has a dependent object"],
  IncorrectInstanceState: [400, "The instance '{id}' is not in a state from which it can be {action}."],
  InsufficientFreeAddressesInSubnet: [
    400,
    "There are not enough free addresses in subnet '{id}' to satisfy the requested number of instances.",
  ],
  InsufficientInstanceCapacity: [500, "There is no Spot capacity available that matches your request."],
  "InvalidGroup.Duplicate": [400, "The security group '{name}' already exists for VPC '{vpc}'"],
  "InvalidGroup.NotFound": [400, "The security group '{name}' does not exist{where}"],
  InvalidID: [400, "The ID '{id}' is not valid"],
  InvalidInstanceType: [400, "The following supplied instance types do not exist: [{names}]"],
  "InvalidKey.Format": [400, "Key is not in valid OpenSSH public key format"],
  "InvalidKeyPair.Duplicate": [400, "The keypair already exists"],
  "InvalidKeyPair.NotFound": [400, "The key pair '{name}' does not exist"],
  "InvalidPermission.Duplicate": [400, 'the specified rule "{rule}" already exists'],
  "InvalidPermission.Malformed": [400, "{detail}"],
  "InvalidPermission.NotFound": [400, "The specified rule does not exist in this security group."],
  "InvalidSecurityGroupRuleId.Malformed": [400, "The security group rule ID '{id}' is malformed"],
  "InvalidSecurityGroupRuleId.NotFound": [400, "The security group rule ID '{id}' does not exist"],
  RulesPerSecurityGroupLimitExceeded: [400, "The maximum number of rules per security group has been reached."],
  TagLimitExceeded: [400, "The maximum number of Tags for a resource has been reached."],
  VPCIdNotSpecified: [400, "No default VPC for this user"],
} as const

export const raise = defineErrors(errors)
