/** The services whose schemas are loaded today, and how many operations the pinned SDK has for each. */
export const knownServices = [
  {
    name: "ec2",
    protocol: "ec2Query",
    version: "2016-11-15",
    xmlNamespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
    smithyNamespace: "com.amazonaws.ec2",
    operations: 823,
  },
  {
    name: "sts",
    protocol: "awsQuery",
    version: "2011-06-15",
    xmlNamespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    smithyNamespace: "com.amazonaws.sts",
    operations: 11,
  },
] as const
