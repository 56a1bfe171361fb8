/** The command line that starts a child as another user, without any privilege. Pure. */

export interface BindMount {
  readonly from: string
  /** An empty directory that exists; `from` is seen there by the child alone. */
  readonly to: string
  readonly readOnly: boolean
}

export interface ChildSpec {
  readonly argv: readonly string[]
  readonly uid: number
  readonly gid: number
  /** Network namespace to run in. */
  readonly namespace?: string
  /** Seen in a mount namespace of the child's own. */
  readonly bindMounts?: readonly BindMount[]
}

/** Mounts by positional arguments, so that no path is ever part of the script. Then becomes the rest of its arguments. */
const mountAndExec = `mount --make-rprivate /
count=$1; shift
while [ "$count" -gt 0 ]; do
  mount --bind -- "$2" "$3"
  if [ "$1" = ro ]; then mount -o remount,bind,ro,nosuid,nodev -- "$3"; else mount -o remount,bind,nosuid,nodev -- "$3"; fi
  shift 3; count=$((count - 1))
done
exec "$@"`

/**
 * Each program in the chain becomes the next by exec, so the pid, and the start time, of the first are those of the child.
 * `setpriv` drops every capability and group; with no_new_privs nothing, setuid or not, gives one back.
 */
export function childCommand(spec: ChildSpec): readonly string[] {
  const { argv, uid, gid, namespace, bindMounts = [] } = spec
  const mounts = bindMounts.flatMap(({ from, to, readOnly }) => [readOnly ? "ro" : "rw", from, to])
  return [
    ...(namespace === undefined ? [] : ["ip", "netns", "exec", namespace]),
    ...(bindMounts.length === 0
      ? []
      : ["unshare", "--mount", "--propagation", "private", "--", "sh", "-ec", mountAndExec, "sh"].concat(
          `${bindMounts.length}`,
          mounts,
        )),
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--",
    ...argv,
  ]
}
