/** Security groups and their rules. Start reading at `change.ts`, through which every change of rules goes. */
import { pure } from "#cloud/service.ts"
import type { Handlers } from "../handler.ts"
import { authorizeSecurityGroupEgress, authorizeSecurityGroupIngress } from "./authorize.ts"
import { describeSecurityGroupRules } from "./describe-rules.ts"
import {
  updateSecurityGroupRuleDescriptionsEgress,
  updateSecurityGroupRuleDescriptionsIngress,
} from "./descriptions.ts"
import { createSecurityGroup, deleteSecurityGroup, describeSecurityGroups } from "./groups.ts"
import { describeSecurityGroupReferences, describeStaleSecurityGroups, getSecurityGroupsForVpc } from "./looks.ts"
import { modifySecurityGroupRules } from "./modify.ts"
import { revokeSecurityGroupEgress, revokeSecurityGroupIngress } from "./revoke.ts"

export const handlers = {
  CreateSecurityGroup: createSecurityGroup,
  DescribeSecurityGroups: pure(describeSecurityGroups),
  DeleteSecurityGroup: deleteSecurityGroup,
  DescribeSecurityGroupReferences: pure(describeSecurityGroupReferences),
  DescribeStaleSecurityGroups: pure(describeStaleSecurityGroups),
  GetSecurityGroupsForVpc: pure(getSecurityGroupsForVpc),
  AuthorizeSecurityGroupIngress: authorizeSecurityGroupIngress,
  AuthorizeSecurityGroupEgress: authorizeSecurityGroupEgress,
  RevokeSecurityGroupIngress: revokeSecurityGroupIngress,
  RevokeSecurityGroupEgress: revokeSecurityGroupEgress,
  ModifySecurityGroupRules: modifySecurityGroupRules,
  DescribeSecurityGroupRules: pure(describeSecurityGroupRules),
  UpdateSecurityGroupRuleDescriptionsIngress: updateSecurityGroupRuleDescriptionsIngress,
  UpdateSecurityGroupRuleDescriptionsEgress: updateSecurityGroupRuleDescriptionsEgress,
} satisfies Handlers
