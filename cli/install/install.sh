# shellcheck shell=sh
# Sourced by ./fractus when packages are missing: installs what package-lock.json names into node_modules.
# Uses $root, $scope and installed() of that script. Works as any user; under sudo it works as the calling user.
#
# `npm ci` is not used: it empties node_modules first, under the feet of a running daemon, and it refuses a lock file
# that leaves out other systems' optional packages. Instead npm installs into .cache/install.PID, cli/install/fits.ts
# compares the result with the lock file (version and integrity of every package), and one rename puts it in place.

# Measured with an empty npm cache; cli/install/sizes.test.ts compares them with what is there.
case $scope in
runtime) npm_packages=37 npm_fetch_mb=81 npm_disk_mb=256 ;;
*) npm_packages=73 npm_fetch_mb=137 npm_disk_mb=369 ;;
esac

say() { printf '%s\n' "$*" >&2; }

# Nothing can be installed there, so nothing is fetched either.
system=$(uname -s)
if [ "$system" != Linux ]; then
  [ "$system" != Darwin ] || system="macOS ($system)"
  say "fractus: this is $system; Fractus runs on Linux."
  say "In a Linux VM on this machine (Debian 12 or later) everything works: simulated clouds as any user, real guests as root,"
  say "emulated where the VM has no /dev/kvm. A Linux container does for simulated clouds."
  say "To mend it: clone it there, then: ./fractus up --engine sim   (or, as root: ./fractus up)"
  exit 3
fi

# For the commands that a message names: a root who did not come by sudo may have none.
sudo="sudo "
[ "$(id -u)" != 0 ] || [ -n "${SUDO_UID-}" ] || sudo=

# Runs a command as the user who called sudo, if that user may write the repository; else as ourselves.
caller_home=
if [ "$(id -u)" = 0 ] && [ "${SUDO_UID:-0}" != 0 ] && [ -n "${SUDO_GID-}" ] &&
  setpriv --reuid="$SUDO_UID" --regid="$SUDO_GID" --init-groups test -w "$root" 2>/dev/null; then
  caller_home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
fi
as_caller() {
  if [ -n "$caller_home" ]; then
    setpriv --reuid="$SUDO_UID" --regid="$SUDO_GID" --init-groups env "HOME=$caller_home" "$@"
  else
    "$@"
  fi
}

# The Node that runs npm: any from 18 on will do, because the code itself runs on the Node that npm brings.
# sudo's secure_path hides a Node that lives in the caller's home, so the usual places are tried too.
find_npm() {
  for directory in "" /usr/local/bin ${caller_home:+"$caller_home"/.nvm/versions/node/*/bin "$caller_home"/.local/bin} \
    "${HOME:-/nonexistent}"/.nvm/versions/node/*/bin; do
    [ -z "$directory" ] || [ -x "$directory/npm" ] || continue
    major=$(PATH=${directory:+$directory:}$PATH node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || continue
    [ "$major" -ge 18 ] 2>/dev/null || continue
    PATH=${directory:+$directory:}$PATH command -v npm >/dev/null || continue
    PATH=${directory:+$directory:}$PATH
    export PATH
    return 0
  done
  return 1
}

no_node() {
  say "fractus: no Node.js with npm was found (any version from 20 on will do; it only fetches the packages)."
  say "To get one on Debian or Ubuntu:"
  say "  ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends nodejs npm"
  say "then run the same command again."
  exit 3
}

no_room() {
  say "fractus: $root has $1 MB free; the packages take $npm_disk_mb MB."
  say "To mend it: free some space there (see: df -h '$root'), then run the same command again."
  exit 3
}

not_writable() {
  say "fractus: $root cannot be written by $(id -un), so the packages cannot be installed."
  say "To mend it: sudo '$root/fractus' doctor"
  exit 3
}

# The Node that npm brings is linked against libatomic, which a fresh Debian does not have.
needs_libatomic() {
  for library in /usr/lib/*/libatomic.so.1 /usr/lib/libatomic.so.1 /usr/lib64/libatomic.so.1; do
    [ -e "$library" ] && return 1
  done
  return 0
}

no_libatomic() {
  say "fractus: the library libatomic.so.1 is missing; the Node that Fractus brings needs it."
  say "To mend it: ${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends libatomic1"
  exit 3
}

install_libatomic() {
  say "Installing libatomic1 ..."
  # An archive that is out of reach is told within a minute; cli/packages/apt.ts has the same.
  apt() { RES_OPTIONS="timeout:3 attempts:2" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=1 \
    -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@" >&2 9<&- </dev/null; }
  brought() { apt install -y --no-install-recommends libatomic1; }
  # The first try fails where the package lists were never fetched.
  brought 2>/dev/null || { apt update && brought; } || no_libatomic
}

# Asks only on a terminal and only without --yes.
agree() {
  say "Fractus needs its npm packages ($scope):"
  say "  packages   $npm_packages, the versions and checksums of package-lock.json, no install scripts"
  say "  to fetch   about $npm_fetch_mb MB"
  say "  on disk    about $npm_disk_mb MB"
  if needs_libatomic; then say "  by apt     libatomic1, which that Node needs (less than 1 MB)"; fi
  say "  changes    $root/node_modules, and npm's own cache; nothing else"
  for argument in "$@"; do
    case $argument in --yes | -y) return 0 ;; --) break ;; esac
  done
  [ -t 0 ] && [ -t 2 ] || return 0
  printf 'Go on? [Y/n] ' >&2
  read -r answer || answer=n
  case $answer in "" | y | Y | yes) return 0 ;; esac
  say "Nothing was changed. To go on: $0 $* "
  exit 1
}

fetch_failed() {
  say "fractus: the npm packages could not be installed. The end of $log:"
  grep -v '^npm error *at ' "$log" | tail -n 12 | sed 's/^/  /' >&2
  say "To mend it: look at the lines above (network, proxy: npm config set proxy URL; space: df -h '$root'), then run"
  say "  $0 $*"
  exit 1
}

# Packages for other systems are optional, so npm goes on without them: with no way to the registry it would try each of them
# three times, a quarter of an hour long. So one package is asked for first.
needs_registry() {
  [ "$(npm config get offline 2>/dev/null)" != true ] || return 0 # its cache has to have everything
  say "Asking npm's registry ..."
  (cd "$stage" && as_caller timeout 60 npm view commander version --fetch-retries=1 --fetch-retry-mintimeout=1000 \
    --fetch-timeout=20000 --loglevel=error --no-update-notifier) >"$log" 2>&1 9<&- && return
  say "fractus: npm does not reach its registry ($(cd "$stage" && npm config get registry 2>/dev/null | sed 's#//[^/@]*@#//#')), from which these packages come. It said:"
  grep -v '^npm error *at ' "$log" | tail -n 6 | sed 's/^/  /' >&2
  say "Nothing was changed. To mend it: check this machine's network; behind a proxy: npm config set proxy URL, and"
  say "npm config set https-proxy URL; with a certificate of your own: npm config set cafile FILE. Then run the same again:"
  say "  $0 $*"
  exit 3
}

fits() { # fits DIRECTORY: the packages in DIRECTORY/node_modules are those of the lock file
  for own_node in "$1"/node_modules/node-linux-*/bin/node; do
    [ -x "$own_node" ] || continue
    "$own_node" "$root/cli/install/fits.ts" "$root/package-lock.json" "$1/node_modules/.package-lock.json" "$scope"
    return
  done
  echo "no Node for this machine among the packages"
  return 1
}

# A company's certificate is often known to the system and not to Node.
trust_system_certificates() {
  [ -z "${NODE_EXTRA_CA_CERTS-}" ] && [ -r /etc/ssl/certs/ca-certificates.crt ] || return 0
  NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
  export NODE_EXTRA_CA_CERTS
}

install_packages() {
  # A folder of this run's own: the npm of a run that was killed may still be writing into that one's.
  stage=$root/.cache/install.$$
  log=$root/.cache/install.log
  as_caller mkdir -p "$root/.cache"
  as_caller rm -rf "$root"/.cache/install.[0-9]* "$root/.cache/replaced"
  as_caller mkdir "$stage"
  as_caller cp "$root/package.json" "$root/package-lock.json" "$root/.npmrc" "$stage/"
  omit=
  [ "$scope" = development ] || omit=--omit=dev
  as_caller touch "$log"
  needs_registry "$@"
  say "Fetching $npm_packages npm packages (about $npm_fetch_mb MB) ..."
  # shellcheck disable=SC2086
  (cd "$stage" && as_caller npm install --no-save $omit --ignore-scripts --no-audit --no-fund --no-update-notifier \
    --loglevel=error --progress=false) >"$log" 2>&1 9<&- || fetch_failed "$@"
  fits "$stage" >>"$log" 2>&1 || fetch_failed "$@"
  as_caller cp "$root/package-lock.json" "$stage/node_modules/.fractus-$scope"
  if [ -e "$root/node_modules" ]; then as_caller mv "$root/node_modules" "$root/.cache/replaced"; fi
  as_caller mv "$stage/node_modules" "$root/node_modules"
  as_caller rm -rf "$stage" "$root/.cache/replaced"
  say "Installed."
}

# One installs, others wait: the lock is the repository's folder itself, and the kernel frees it when its holder ends.
previous_umask=$(umask)
umask 022 # the daemon's unprivileged user must be able to read the packages
exec 9<"$root"
if ! flock -n 9; then
  say "Another run is installing the packages; waiting for it ..."
  flock -w 900 9 || { say "fractus: it did not end within 15 minutes. To see it: fuser -v '$root'"; exit 1; }
fi
if ! installed; then
  as_caller test -w "$root" || not_writable
  if [ -e "$root/node_modules/.package-lock.json" ] && fits "$root" >/dev/null 2>&1; then
    as_caller cp "$root/package-lock.json" "$root/node_modules/.fractus-$scope" # a developer's own `npm install`
  else
    find_npm || no_node
    free_mb=$(df -Pm "$root" | awk 'NR == 2 { print $4 }')
    [ "$free_mb" -gt $((npm_disk_mb + npm_fetch_mb)) ] || no_room "$free_mb"
    if needs_libatomic && { [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; }; then no_libatomic; fi
    agree "$@"
    trust_system_certificates
    if needs_libatomic; then install_libatomic; fi
    install_packages "$@"
  fi
fi
exec 9<&-
umask "$previous_umask"
