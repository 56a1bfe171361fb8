/** How answers name a platform, after "Understand AMI billing information". Linux has no Platform at all. */

export type Platform = "windows" | undefined

export const platformDetails = (platform: Platform) => (platform === "windows" ? "Windows" : "Linux/UNIX")

/** What answers say in Platform: lower case on the wire, whatever the SDK's type says. */
export const toPlatform = (platform: Platform): { Platform?: never } =>
  platform === undefined ? {} : { Platform: platform as never }

export const usageOperation = (platform: Platform) => (platform === "windows" ? "RunInstances:0002" : "RunInstances")
