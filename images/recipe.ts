/** What a machine image is made of: the input of `buildImage`. Plain data; knows no packages beyond their names. */
import type { CatalogImage } from "./catalog.ts"

/** What a recipe takes over from the catalog. The id follows from the name: a changed recipe is a new version and a new name. */
type Described = Pick<
  CatalogImage,
  "name" | "description" | "architecture" | "sizeBytes" | "rootDeviceName" | "loginUser"
>

export const described = (image: CatalogImage): Described => {
  const { name, description, architecture, sizeBytes, rootDeviceName, loginUser } = image
  return { name, description, architecture, sizeBytes, rootDeviceName, loginUser }
}

interface Recipe extends Described {
  /** Folder of this recipe: `root/` is laid over the root file system. */
  readonly folder: string
  /** Packages whose closure of dependencies is fetched. */
  readonly packages: readonly string[]
  /** Names of the kernel's package, by distribution; the first that is known is taken. */
  readonly kernelPackages: readonly string[]
  /** Modes of single files of `root/`; others are 0755 when executable, else 0644. */
  readonly modes: Readonly<Record<string, number>>
  /** Label of the root file system: at most 16 bytes. */
  readonly rootLabel: string
  readonly bytesPerInode: number
  readonly commandLine: string
}

/** An image of single programs: named files of packages, the libraries they need, files of ours. Starts by direct kernel. */
export interface ProgramsRecipe extends Recipe {
  readonly kind: "programs"
  /** Dependencies that are needed by maintainer scripts only and are not fetched. */
  readonly withoutPackages: RegExp
  /** Packages of which nothing goes into the image: what compiles our own program of it. Fetched without what they depend on. */
  readonly buildPackages: readonly string[]
  /** Globs of what goes from the packages into the root file system; the libraries they need follow by themselves. */
  readonly rootFiles: readonly string[]
  /** Links in the root file system: path -> target. */
  readonly links: Readonly<Record<string, string>>
  readonly directories: readonly { readonly path: string; readonly mode: number; readonly uid?: number }[]
  /** Applets of busybox that get no link. */
  readonly withoutApplets: readonly string[]
  /** Modules loaded by the initrd, in this order, each after what it depends on. The initrd is laid over with `initrd/`. */
  readonly initrdModules: readonly string[]
  /** Modules that may be missing from a kernel (built in under another name). */
  readonly optionalModules: readonly string[]
  /** Modules on the root file system besides those of the initrd. */
  readonly rootModules: readonly string[]
}

/** A whole distribution, its packages installed by its own tools. Starts by firmware, with the kernel that its own disk holds. */
export interface DistributionRecipe extends Recipe {
  readonly kind: "distribution"
  /** Code name, as the package tools take it. */
  readonly suite: string
  /** How its release is told from others: a package and what its version looks like. */
  readonly release: { readonly package: string; readonly version: RegExp }
  /** What signed its packages, on a machine that is none of its own; `root/etc/apt/sources.list.d` says where they are. */
  readonly keyring: { readonly package: string; readonly path: string }
  /** It has the agent of `agent/`, in whatever language, so that templates can be made of it. */
  readonly agent: boolean
  /** A program beside the recipe that is called with the root folder once all is installed. */
  readonly customize: string
}

export type ImageRecipe = ProgramsRecipe | DistributionRecipe
