/** Pools to propose where the usual one is in use: ranges for private use at places where few have a network, the last one for documentation. */
export const otherPools: readonly string[] = ["10.198.0.0/20", "172.30.224.0/20", "192.168.224.0/20", "203.0.113.0/24"]
