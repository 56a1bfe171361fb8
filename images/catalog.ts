/** The images a home offers, as plain data: also read where nothing can be built or booted. Imports no build code. */
import { createHash } from "node:crypto"

export interface CatalogImage {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly ownerAlias: "amazon"
  readonly architecture: "x86_64"
  readonly virtualizationType: "hvm"
  readonly enaSupport: true
  readonly bootMode: "legacy-bios" | "uefi-preferred"
  readonly rootDeviceName: string
  /** Virtual size in bytes, a multiple of 1 GiB, which the one partition fills: a volume made from it is at least as large. */
  readonly sizeBytes: number
  readonly loginUser: string
  /** `always`: made before a home with real guests first serves. `later`: made in the background once it does. */
  readonly build: "always" | "later"
}

/** The id of an image: the same in every region of every home, since it follows from the name alone. */
export function imageIdOf(name: string): string {
  return `ami-${createHash("sha256").update(name).digest("hex").slice(0, 17)}`
}

const gibibyte = 1024 ** 3

const common = {
  ownerAlias: "amazon",
  architecture: "x86_64",
  virtualizationType: "hvm",
  enaSupport: true,
  bootMode: "legacy-bios",
  rootDeviceName: "/dev/xvda",
} as const

/** Small guest of this project: kernel, busybox, sshd; boots in seconds without hardware virtualization. */
export const microImage: CatalogImage = {
  ...common,
  id: imageIdOf("fractus-micro-1.6-x86_64"),
  name: "fractus-micro-1.6-x86_64",
  description: "Fractus micro 1.5: a small Linux with curl, sudo and ssh",
  sizeBytes: gibibyte,
  loginUser: "ec2-user",
  build: "always",
}

export const debianImage: CatalogImage = {
  ...common,
  id: imageIdOf("debian-12-1.2-x86_64"),
  name: "debian-12-1.2-x86_64",
  description: "Debian 12 with cloud-init",
  sizeBytes: 2 * gibibyte,
  loginUser: "admin",
  build: "later",
}

/** The catalog's image of this name, with or without its version, or of this id. */
export function findInCatalog(word: string): CatalogImage | undefined {
  return catalog.find(({ id, name }) => id === word || name === word || name.replace(/-[\d.]+-x86_64$/, "") === word)
}

export const catalog: readonly CatalogImage[] = [microImage, debianImage]
