import { existsSync } from "node:fs"
import { arch } from "node:process"

/** A Debian package and a file whose presence shows it: looking takes microseconds, asking dpkg takes half a second. */
export type Need = { package: string; files: readonly string[] }

const commandFiles = (name: string): string[] =>
  ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map((place) => `${place}/${name}`)

const emulator: Need =
  arch === "arm64"
    ? { package: "qemu-system-arm", files: commandFiles("qemu-system-aarch64") }
    : { package: "qemu-system-x86", files: commandFiles("qemu-system-x86_64") }

const firmware: Need =
  arch === "arm64"
    ? {
        package: "qemu-efi-aarch64",
        files: ["/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"],
      }
    : { package: "seabios", files: ["/usr/share/seabios/bios-256k.bin"] }

/** What the qemu engine and the building of images call. */
export const engineNeeds: readonly Need[] = [
  emulator,
  firmware,
  { package: "qemu-utils", files: commandFiles("qemu-img") },
  { package: "nftables", files: commandFiles("nft") },
  { package: "dnsmasq-base", files: commandFiles("dnsmasq") },
  { package: "iproute2", files: commandFiles("ip") },
  { package: "e2fsprogs", files: commandFiles("mke2fs") },
  { package: "openssh-client", files: commandFiles("ssh") },
  { package: "util-linux", files: commandFiles("unshare") },
  { package: "mount", files: commandFiles("mount") },
  { package: "procps", files: commandFiles("sysctl") },
  { package: "cpio", files: commandFiles("cpio") },
  { package: "zstd", files: commandFiles("zstd") },
  { package: "xz-utils", files: commandFiles("xz") },
  { package: "ca-certificates", files: ["/etc/ssl/certs/ca-certificates.crt"] },
]

/**
 * What building a whole distribution calls besides. Brought by the build itself: where one of them cannot be had, the first guest starts
 * nevertheless.
 */
export const distributionNeeds: readonly Need[] = [
  { package: "mmdebstrap", files: commandFiles("mmdebstrap") },
  { package: "debian-archive-keyring", files: ["/usr/share/keyrings/debian-archive-keyring.gpg"] },
]

/** The packages of the list that are not here. */
export const missingPackages = (needs: readonly Need[]): string[] =>
  needs.filter((need) => !need.files.some((file) => existsSync(file))).map((need) => need.package)
