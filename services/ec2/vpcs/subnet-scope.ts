/** Scope of the claims on the addresses of one subnet; keys are addresses as numbers. */
export const subnetScope = (subnet: string) => `subnet/${subnet}`
