/**
 * The kind of system, by /proc/version. WSL's two kinds are told apart as Microsoft's kernels name themselves: "Microsoft" in the first
 * one's, "microsoft-standard-WSL2" in the second's.
 */
export type System = { kind: "linux" | "wsl1" | "wsl2"; name: string; works: string }

export const systemOf = (kernel: string): System => {
  if (!/microsoft/i.test(kernel)) return { kind: "linux", name: "Linux", works: "simulated clouds and real guests" }
  const sim = "simulated clouds work; for real guests use a Linux VM"
  return /wsl2|microsoft-standard/i.test(kernel)
    ? { kind: "wsl2", name: "WSL2", works: `${sim}, or try them here as root (nobody has yet)` }
    : { kind: "wsl1", name: "WSL1", works: `${sim} or WSL2: this kernel has no network namespaces` }
}
