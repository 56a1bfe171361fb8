/** Quota of Elastic IP addresses, as a new account has it ("Amazon EC2 endpoints and quotas"). */
export const elasticIpsPerRegion = 5
