/** What Fractus promises in numbers, whether or not a benchmark shows it yet. Names of measured ones are those of the results. */
export interface Promised {
  /** Begins like the `promise` of a result; all results that do are shown in its place. */
  readonly name: string
  /** The number in words, for those that are not yet measured. */
  readonly limit: string
}

export const promises: readonly { readonly title: string; readonly rows: readonly Promised[] }[] = [
  {
    title: "The API",
    rows: [
      { name: "DescribeInstances of 1: CPU", limit: "1.5 times" },
      { name: "DescribeInstances of 1: time", limit: "" },
      { name: "DescribeInstances of 100:", limit: "" },
      { name: "DescribeInstances of 1000:", limit: "50 ms" },
      { name: "RunInstances of 1, until it runs", limit: "" },
      { name: "DescribeInstances of 20: calls", limit: "" },
      { name: "DescribeInstances by a tag", limit: "" },
      { name: "CreateTags: calls", limit: "" },
      { name: "Page of 100 of 100000 instances", limit: "20 ms" },
      { name: "Reset of a cloud", limit: "20 ms" },
    ],
  },
  {
    title: "The daemon",
    rows: [
      { name: "Second start", limit: "0.4 s" },
      { name: "fractus try", limit: "0.7 s" },
      { name: "Memory of a simulated cloud", limit: "130 MiB" },
      { name: "Memory of the API process on qemu, idle", limit: "130 MiB" },
      { name: "Memory of the host process on qemu, idle", limit: "70 MiB" },
      { name: "Memory of guest-services on qemu, idle", limit: "70 MiB" },
    ],
  },
  {
    title: "Real guests",
    rows: [
      { name: "warm launch: RunInstances to ssh banner", limit: "600 ms" },
      { name: "warm launch: RunInstances to the end of the first ssh command", limit: "900 ms" },
      { name: "launch from the pool: RunInstances to ssh banner", limit: "200 ms" },
      { name: "launch from the pool: RunInstances to the end of the first ssh command", limit: "450 ms" },
      { name: "debian-12, warm launch: RunInstances to ssh banner", limit: "1200 ms" },
      { name: "debian-12, warm launch: RunInstances to the end of the first ssh command", limit: "4000 ms" },
      { name: "25 warm launches by one call", limit: "" },
      { name: "25 cold launches by one call", limit: "" },
      { name: "the README's lines,", limit: "" },
      { name: "hibernated guest of 1 GiB: StartInstances to ssh banner", limit: "2000 ms" },
      { name: "cold launch: RunInstances to ssh banner", limit: "1.1 times" },
      { name: "cold launch: RunInstances to the end of the first ssh command", limit: "" },
      { name: "by hand: start of QEMU to the end of the first ssh command", limit: "" },
      { name: "TCP between two guests' namespaces", limit: "1.111 times" },
      { name: "Pause of a guest's writes while a volume is attached, resized or snapshotted", limit: "50 ms" },
      { name: "A firewall change in force, with 500 interfaces", limit: "20 ms" },
    ],
  },
]

/** What the README shows of them: its own words, and the name of one result. */
export const headlines: readonly { readonly words: string; readonly name: string }[] = [
  { words: "From `RunInstances` to an SSH banner, emulated (no KVM)", name: "cold launch: RunInstances to ssh banner" },
  {
    words: "The same, against the same guest started by hand in QEMU",
    name: "cold launch: RunInstances to ssh banner, against the same guest started by hand",
  },
  {
    words: "The second launch of a kind, a clone of a warm template",
    name: "warm launch: RunInstances to ssh banner",
  },
  {
    words: "The same, of a clone that waited (`--warm-pool`)",
    name: "launch from the pool: RunInstances to ssh banner",
  },
  {
    words: "A whole Debian 12, a clone of a warm template",
    name: "debian-12, warm launch: RunInstances to ssh banner",
  },
  {
    words: "The lines above from `aws ec2 run-instances` to a shell, by a clone",
    name: "the README's lines, a warm launch",
  },
  {
    words: "The same lines, by a clone that waited",
    name: "the README's lines, a launch from the pool",
  },
  {
    words: "`DescribeInstances` of 1,000 instances, four clients at once",
    name: "DescribeInstances of 1000: time of an answer, four clients at once",
  },
  {
    words: "Start of a simulated cloud, to its first answer",
    name: "Second start, from exec to the answer of DescribeInstances",
  },
  {
    words: "`fractus try -- true`: a throwaway cloud, from exec to exit",
    name: "fractus try: a command against a cloud of its own, from exec to exit",
  },
  {
    words: "Memory of a simulated cloud after 1,000 calls",
    name: "Memory of a simulated cloud, idle for 10 s after 1000 calls",
  },
  {
    words: "A security group's rule in force, among 500 interfaces",
    name: "A firewall change in force, with 500 interfaces: a rule added",
  },
]
