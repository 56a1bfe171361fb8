/** Services of the document protocols, each with one that the SDK or botocore speaks with it. */
export const documentServices = [
  { client: "ssm", botocore: "ssm", protocol: "awsJson1_1", target: "AmazonSSM" },
  { client: "service-quotas", botocore: "service-quotas", protocol: "awsJson1_1", target: "ServiceQuotasV20190624" },
  {
    client: "resource-groups-tagging-api",
    botocore: "resourcegroupstaggingapi",
    protocol: "awsJson1_1",
    target: "ResourceGroupsTaggingAPI_20170126",
  },
  { client: "cloudtrail", botocore: "cloudtrail", protocol: "awsJson1_1", target: "CloudTrail_20131101" },
  { client: "cloudwatch", botocore: "cloudwatch", protocol: "awsJson1_0", target: "GraniteServiceVersion20100801" },
  { client: "cloudwatch", botocore: "cloudwatch", protocol: "rpcv2Cbor", target: "GraniteServiceVersion20100801" },
  { client: "ebs", botocore: "ebs", protocol: "restJson1", target: "Ebs" },
  { client: "s3", botocore: "s3", protocol: "restXml", target: "AmazonS3" },
] as const

/** Operations with streams of events, which no protocol here carries, and one whose host's name is not a bucket's. */
export const notCarried: ReadonlySet<string> = new Set(["SelectObjectContent", "WriteGetObjectResponse"])
