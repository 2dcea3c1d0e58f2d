#!/bin/sh
# Installs the Debian packages that building, demonstrating and testing need; does nothing
# when they are there. Rust (rustup or another way) must be there already.
set -eu

packages='g++ clang libclang-dev make curl whois iproute2 util-linux python3 bind9-dnsutils knot-dnsutils knot nsd unbound python3-dnspython python3-cryptography python3-requests python3-mock python3-pymysql python3-six python3-future python3-pip gzip zstd procps openssl ieee-data pci.ids usb.ids libxml2-utils openssh-server openssh-client'

command -v cargo >/dev/null 2>&1 || {
    echo 'setup: cargo is missing; install Rust 1.95 or later first (https://rustup.rs)' >&2
    exit 1
}

missing=''
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=''; else as_root='sudo'; fi
echo "setup: installing$missing" >&2
$as_root apt-get update -qq
# The tests start the name servers themselves: installing must not. A policy that is there
# already is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
# Nor must they start with the machine.
for service in nsd knot ssh; do
    case "$service" in ssh) package='openssh-server' ;; *) package=$service ;; esac
    case "$missing" in
    *" $package"*)
        if [ -d /run/systemd/system ]; then $as_root systemctl disable -q "$service" || true; fi
        ;;
    esac
done
