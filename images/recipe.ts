/** What a machine image is made of: the input of `buildImage`. Plain data; knows no packages beyond their names. */

export interface ImageRecipe {
  /** Name of the image, from which its id follows. A changed recipe is a new version and a new name. */
  readonly name: string
  readonly description: string
  readonly architecture: "x86_64"
  /** Folder of this recipe: `root/` is laid over the root file system, `initrd/` over the initrd. */
  readonly folder: string
  /** Packages whose closure of dependencies is fetched. */
  readonly packages: readonly string[]
  /** Names of the kernel's package, by distribution; the first that is known is taken. */
  readonly kernelPackages: readonly string[]
  /** Dependencies that are needed by maintainer scripts only and are not fetched. */
  readonly withoutPackages: RegExp
  /** Globs of what goes from the packages into the root file system; the libraries they need follow by themselves. */
  readonly rootFiles: readonly string[]
  /** Links in the root file system: path -> target. */
  readonly links: Readonly<Record<string, string>>
  readonly directories: readonly { readonly path: string; readonly mode: number; readonly uid?: number }[]
  /** Modes of single files of `root/`; others are 0755 when executable, else 0644. */
  readonly modes: Readonly<Record<string, number>>
  /** Applets of busybox that get no link. */
  readonly withoutApplets: readonly string[]
  /** Modules loaded by the initrd, in this order, each after what it depends on. */
  readonly initrdModules: readonly string[]
  /** Modules that may be missing from a kernel (built in under another name). */
  readonly optionalModules: readonly string[]
  /** Modules on the root file system besides those of the initrd. */
  readonly rootModules: readonly string[]
  /** Label of the root file system: at most 16 bytes. The initrd takes the first disk that has it. */
  readonly rootLabel: string
  /** Virtual size of the disk, which its one partition fills. A multiple of 1 GiB. */
  readonly sizeBytes: number
  readonly rootDeviceName: string
  readonly commandLine: string
  readonly loginUser: string
}
