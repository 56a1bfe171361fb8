/** EC2's errors as rows. Codes and wording follow "Error codes for the Amazon EC2 API". One row per code, sorted. */
import { commonErrors, defineErrors } from "#cloud/errors.ts"

export const errors = {
  ...commonErrors,
  CannotDelete: [400, 'the specified group: "{id}" name: "default" cannot be deleted by a user'],
  IncorrectInstanceState: [400, "{detail}"],
  InstanceLimitExceeded: [
    400,
    "You have requested more instances ({wanted}) than your current instance limit of {limit} allows.",
  ],
  InsufficientAddressCapacity: [500, "Not enough available addresses to satisfy your request."],
  InsufficientFreeAddressesInSubnet: [
    400,
    "There are not enough free addresses in subnet '{id}' to satisfy the requested number of instances.",
  ],
  InsufficientInstanceCapacity: [
    500,
    "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}): {why}.",
  ],
  "InvalidAMIID.Malformed": [400, 'Invalid id: "{id}"'],
  "InvalidAMIID.Unavailable": [400, "The image ID '{id}' is not available: it is {state}"],
  InvalidBlockDeviceMapping: [400, "{detail}"],
  "InvalidGroup.Duplicate": [400, "The security group '{name}' already exists for VPC '{vpc}'"],
  "InvalidGroup.NotFound": [400, "The security group '{name}' does not exist{where}"],
  InvalidID: [400, "The ID '{id}' is not valid"],
  "InvalidIPAddress.InUse": [400, "Address {address} is in use."],
  InvalidInstanceAttributeValue: [400, "{detail}"],
  InvalidInstanceType: [400, "The following supplied instance types do not exist: [{names}]"],
  "InvalidKey.Format": [400, "Key is not in valid OpenSSH public key format"],
  "InvalidKeyPair.Duplicate": [400, "The keypair already exists"],
  "InvalidKeyPair.NotFound": [400, "The key pair '{name}' does not exist"],
  InvalidParameter: [400, "{detail}"],
  "InvalidPermission.Duplicate": [400, 'the specified rule "{rule}" already exists'],
  "InvalidPermission.Malformed": [400, "{detail}"],
  "InvalidPermission.NotFound": [400, "The specified rule does not exist in this security group."],
  "InvalidPrefixListID.NotFound": [400, "The prefix list ID '{id}' does not exist"],
  "InvalidSecurityGroupRuleId.Malformed": [400, "The security group rule ID '{id}' is malformed"],
  "InvalidSecurityGroupRuleId.NotFound": [400, "The security group rule ID '{id}' does not exist"],
  "InvalidUserID.Malformed": [400, 'Invalid user id: "{id}"'],
  MissingInput: [400, "{detail}"],
  OperationNotPermitted: [400, "{detail}"],
  RulesPerSecurityGroupLimitExceeded: [400, "The maximum number of rules per security group has been reached."],
  SecurityGroupsPerInterfaceLimitExceeded: [
    400,
    "The maximum number of security groups per interface has been reached.",
  ],
  TagLimitExceeded: [400, "The maximum number of Tags for a resource has been reached."],
  UnsupportedHibernationConfiguration: [400, "The instance '{id}' is not configured for hibernation"],
  VPCIdNotSpecified: [400, "No default VPC for this user"],
} as const

export const raise = defineErrors(errors)
