#!/usr/bin/env bash
# The Debian package in the life of a machine: installed, started, asked, upgraded while it serves, removed, brought back,
# purged; and what is left afterwards. On a Debian of its own with systemd as its first process (systemd-nspawn), without a
# network.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cache="${PASSERELLE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/passerelle}"
suite=bookworm
program=""
drop_in=""
keep=no
streams=20
work=""
nspawn=""
leader=""

usage() {
    cat <<'USAGE'
Proves the Debian package of Passerelle on a Debian of its own, booted in a container without a network.

Usage: tests/operations/package.sh [--program FILE] [--drop-in FILE] [--streams N] [--keep]

  --program FILE  package this program instead of building a static release (which takes minutes)
  --drop-in FILE  put these settings over the unit's before its first start
  --streams N     answers that are open during the upgrade (default: 20)
  --keep          leave the machine's folder for a look (its name is printed)
  --help          this text

Needs root, debootstrap and systemd-nspawn (apt-get install debootstrap systemd-container), and Debian's packages once;
they are kept in $PASSERELLE_CACHE (default: ~/.cache/passerelle).

Example: tests/operations/package.sh --program target/debug/passerelle

Exit: 0 all held, 64 wrong usage, 69 something must be installed first, otherwise something did not hold.
USAGE
}

while (($# > 0)); do
    case "$1" in
        --help | -h)
            usage
            exit 0
            ;;
        --keep)
            keep=yes
            shift
            ;;
        --program | --drop-in | --streams)
            if (($# < 2)); then
                echo "package.sh: $1 needs a value" >&2
                exit 64
            fi
            case "$1" in
                --program) program="$(realpath "$2")" ;;
                --drop-in) drop_in="$(realpath "$2")" ;;
                --streams) streams="$2" ;;
            esac
            shift 2
            ;;
        *)
            echo "package.sh: unknown argument $1; see --help" >&2
            exit 64
            ;;
    esac
done
if ((EUID != 0)); then
    echo "package.sh: a machine is made and booted: run it as root" >&2
    exit 69
fi
for command in debootstrap systemd-nspawn nsenter dpkg-deb; do
    if ! command -v "$command" >/dev/null; then
        echo "package.sh: please install first: $command" >&2
        exit 69
    fi
done

step="start"
title() {
    step="$1"
    printf '\n== %s\n' "$step"
}

finish() {
    local status=$?
    if ((status != 0)) && [[ -n $leader ]]; then
        inside journalctl --no-pager --lines 25 --unit passerelle.service >&2 || true
    fi
    if [[ -n $nspawn ]] && kill -0 "$nspawn" 2>/dev/null; then
        # The first process of the machine; everything in it ends with it.
        kill -KILL "$leader" 2>/dev/null || true
        wait "$nspawn" 2>/dev/null || true
    fi
    if [[ -n $work ]]; then
        if [[ $keep == yes ]]; then
            echo "the machine is kept in $work"
        else
            rm -rf --one-file-system "$work"
        fi
    fi
    if ((status == 0)); then
        printf '\n== all held\n'
    else
        printf '\n== FAILED at: %s\n' "$step" >&2
    fi
}
trap finish EXIT

fail() {
    echo "package.sh: $*" >&2
    exit 1
}

# inside COMMAND…: on the machine.
inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid -- "$@"; }

main_pid() { inside systemctl show --property=MainPID --value passerelle.service; }

is() {
    local what="$1" expected="$2" found="$3"
    [[ $found == "$expected" ]] || fail "$what is $found and should be $expected"
    echo "ok: $what is $found"
}

title "two packages"
mkdir -p "$cache"
work="$(mktemp -d /var/tmp/passerelle-package.XXXXXX)"
if [[ -z $program ]]; then
    deploy/package --output "$work" | tail -n 1
    program="$PWD/target/package/passerelle"
else
    deploy/package --binary "$program" --output "$work" --fast | tail -n 1
fi
version="$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)"
older="passerelle_$version-1_$(dpkg --print-architecture).deb"
newer="passerelle_$version-2_$(dpkg --print-architecture).deb"
[[ -f $work/$older ]] || fail "no $older was made"
# The same files under a higher version.
dpkg-deb --raw-extract "$work/$older" "$work/newer"
sed -i "s/^Version: .*/Version: $version-2/" "$work/newer/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/newer" "$work/$newer" >/dev/null
rm -r "$work/newer"

title "a machine"
base="$cache/debian-$suite.tar"
if [[ ! -f $base ]]; then
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,ca-certificates,curl "$suite" "$work/base" >"$work/debootstrap.log"
    tar --create --file "$base.part" --directory "$work/base" .
    mv "$base.part" "$base"
    rm -rf --one-file-system "$work/base"
fi
machine="$work/machine"
mkdir "$machine"
tar --extract --file "$base" --directory "$machine"
cp "$work/$older" "$work/$newer" "$machine/srv/"
systemd-nspawn --quiet --register=no --keep-unit --private-network --directory "$machine" --boot \
    </dev/null >"$work/console.log" 2>&1 &
nspawn=$!
for _ in $(seq 600); do
    leader="$(cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null | awk '{print $1}')"
    if [[ -n $leader ]] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then
        break
    fi
    kill -0 "$nspawn" 2>/dev/null || fail "the machine does not boot: $(tail -n 5 "$work/console.log")"
    sleep 0.1
done
echo "booted: $(inside systemctl is-system-running || true)"
touch "$work/before"
all_files() { find "$machine" -xdev \( -name '*passerelle*' -o -uid "${1:-4294967294}" \) -printf '/%P\n' | grep -v '^/srv/' | sort || true; }

title "installed, without a vendor's key"
inside dpkg --install "/srv/$older" | tee "$work/install.log" | tail -n 3
grep -q "put a vendor's key into" "$work/install.log" || fail "it does not say what to do first"
is "the unit" enabled "$(inside systemctl is-enabled passerelle.service)"
is "the service" inactive "$(inside systemctl is-active passerelle.service || true)"
is "a public socket" disabled "$(inside systemctl is-enabled passerelle-public.socket || true)"
is "the configuration" "640 root passerelle" "$(inside stat --format '%a %U %G' /etc/passerelle/passerelle.toml)"
is "the folder of keys" "700 root root" "$(inside stat --format '%a %U %G' /etc/passerelle/keys)"
is "the ledger's folder" "700 passerelle passerelle" "$(inside stat --format '%a %U %G' /var/lib/passerelle)"
is "its version" "passerelle $version" "$(inside /usr/bin/passerelle --version)"
uid="$(inside id -u passerelle)"

title "started"
if [[ -n $drop_in ]]; then
    inside mkdir -p /etc/systemd/system/passerelle.service.d
    inside tee /etc/systemd/system/passerelle.service.d/test.conf <"$drop_in" >/dev/null
    inside systemctl daemon-reload
fi
vendor() {
    inside systemd-run --quiet --unit "vendor-$1" --collect /usr/local/bin/vendor simulate --dialect "$1" --listen "127.0.0.1:$2" \
        --first-token-ms 50 --inter-token-ms 60 --output-tokens 600
}
cp "$program" "$machine/usr/local/bin/vendor"
vendor openai 9101
vendor mistral 9102
inside sh -c 'umask 077; printf k1 >/etc/passerelle/keys/openai; printf k2 >/etc/passerelle/keys/mistral'
inside sed -i -e 's|^\[providers.openai\]|&\nbase_url = "http://127.0.0.1:9101/v1"|' \
    -e 's|^\[providers.mistral_ai\]|&\nbase_url = "http://127.0.0.1:9102/v1"|' -e 's|^hosts = "eu"|hosts = "any"|' \
    /etc/passerelle/passerelle.toml
cat >>"$machine/etc/passerelle/passerelle.toml" <<'TOML'
requests_per_minute = 100000
burst = 100000
simultaneous = 1000
questions_per_day = 100000
tokens_per_day = 1000000000
euros_per_month = "1000"
TOML
changed="$(inside sha256sum /etc/passerelle/passerelle.toml)"
if ! inside systemctl start passerelle.service; then
    inside journalctl --no-pager -u passerelle.service | tail -n 20
    fail "it does not start"
fi
is "the service" active "$(inside systemctl is-active passerelle.service)"
first="$(main_pid)"
is "its user" passerelle "$(inside stat --format %U "/proc/$first")"
status="$(inside cat "/proc/$first/status")"
is "its capabilities" 0000000000000000 "$(awk '/^CapBnd/ {print $2}' <<<"$status")"
is "no new privileges" 1 "$(awk '/^NoNewPrivs/ {print $2}' <<<"$status")"
is "its filter of system calls (2: on)" 2 "$(awk '/^Seccomp:/ {print $2}' <<<"$status")"
is "its health" ok "$(inside /usr/bin/passerelle healthcheck --config /etc/passerelle/passerelle.toml)"
is "its readiness" ready "$(inside /usr/bin/passerelle healthcheck --ready --url http://127.0.0.1:9090)"

title "asked"
key="$(inside runuser -u passerelle -- /usr/bin/passerelle keys issue --config /etc/passerelle/passerelle.toml --plan resident)"
cat >"$machine/srv/ask" <<'ASK'
#!/bin/sh
# ask KEY MODEL STREAM TOKENS: the status, and whether the answer came to its end.
exec curl --silent --no-buffer --max-time 120 --write-out '\nstatus %{http_code}\n' http://127.0.0.1:8080/v1/chat/completions \
    --header "Authorization: Bearer $1" \
    --data "{\"model\": \"$2\", \"stream\": $3, \"max_tokens\": $4, \"messages\": [{\"role\": \"user\", \"content\": \"Bonjour\"}]}"
ASK
chmod 755 "$machine/srv/ask"
for model in gpt-6-luna mistral-small-latest; do
    inside /srv/ask "$key" "$model" false 5 >"$work/answer" || true
    is "the answer of $model" "status 200" "$(tail -n 1 "$work/answer")"
done
inside systemctl reload passerelle.service || fail "$(inside journalctl --no-pager -u passerelle.service | tail -n 5)"
is "the service after a reload" "active $first" "$(inside systemctl is-active passerelle.service) $(main_pid)"

title "upgraded while it serves"
for number in $(seq "$streams"); do
    model=gpt-6-luna
    if ((number % 2)); then model=mistral-small-latest; fi
    inside /srv/ask "$key" "$model" true 600 >"$work/stream.$number" 2>&1 &
done
# And short questions one after the other, through all of it.
touch "$work/asking"
(
    while [[ -e $work/asking ]]; do
        inside /srv/ask "$key" gpt-6-luna false 5 | tail -n 1 || echo "status none"
    done >"$work/questions"
) &
asker=$!
for number in $(seq "$streams"); do
    until grep -q '^data: ' "$work/stream.$number"; do
        if ! grep -q . "$work/stream.$number"; then sleep 0.05; else grep -q '^status' "$work/stream.$number" && break; fi
    done
done
inside dpkg --install "/srv/$newer" 2>&1 | tee "$work/upgrade.log" | tail -n 4
is "the package" "$version-2" "$(inside dpkg-query --show --showformat '${Version}' passerelle)"
second="$(main_pid)"
[[ $second != "$first" && $second != 0 ]] || fail "process $first still is the main one"
echo "ok: process $second took over from $first"
is "the service" active "$(inside systemctl is-active passerelle.service)"
is "restarts by systemd" 0 "$(inside systemctl show --property=NRestarts --value passerelle.service)"
is "the configuration is as the administrator left it" "$changed" "$(inside sha256sum /etc/passerelle/passerelle.toml)"
for number in $(seq "$streams"); do
    until grep -q '^status' "$work/stream.$number"; do sleep 0.1; done
done
rm "$work/asking"
wait "$asker"
whole="$(grep -l 'data: \[DONE\]' "$work"/stream.* | wc -l)"
is "streams that came to their end, of $streams" "$streams" "$whole"
asked="$(wc -l <"$work/questions")"
is "questions answered during the upgrade, of $asked" "$asked" "$(grep -c 'status 200' "$work/questions")"
grep -q "has taken over from $first" "$work/upgrade.log" || fail "the package does not say that it was taken over"
# A process that has nothing to finish ends at once, before systemd may have looked who is the main one.
inside dpkg --install "/srv/$newer" >"$work/idle.log" 2>&1
third="$(main_pid)"
[[ $third != "$second" && $third != 0 ]] || fail "process $second still is the main one"
is "restarts by systemd, after an upgrade while nobody asks" 0 "$(inside systemctl show --property=NRestarts --value passerelle.service)"
verified="$(inside runuser -u passerelle -- /usr/bin/passerelle ledger verify --config /etc/passerelle/passerelle.toml)"
echo "ok: $(tail -n 1 <<<"$verified")"

title "removed, and brought back"
inside dpkg --remove passerelle | tail -n 1
is "the service" inactive "$(inside systemctl is-active passerelle.service 2>/dev/null || true)"
inside test -s /var/lib/passerelle/ledger.sqlite || fail "a removal took the ledger"
inside dpkg --install "/srv/$newer" | tail -n 1
is "the service" active "$(inside systemctl is-active passerelle.service)"
inside /srv/ask "$key" gpt-6-luna false 5 >"$work/answer" || true
is "the answer to a key of before" "status 200" "$(tail -n 1 "$work/answer")"

title "purged"
for dialect in openai mistral; do inside systemctl stop "vendor-$dialect"; done
rm -f "$machine/usr/local/bin/vendor"
inside dpkg --purge passerelle | tee "$work/purge.log"
grep -q "the town's ledger, its secret and their backups stay" "$work/purge.log" || fail "a purge does not say what stays"
inside test -s /var/lib/passerelle/ledger.sqlite || fail "a purge took the town's books"
if inside test -e /etc/passerelle; then fail "a purge left vendors' keys behind"; fi
echo "left behind:"
all_files "$uid"
if all_files | grep -vE '^/var/lib/passerelle|^/var/lib/dpkg/|^/var/log/|^/etc/systemd/system/passerelle.service.d'; then
    fail "a purge left these behind"
fi

title "purged when it has never served"
inside sh -c 'rm -r /var/lib/passerelle /etc/systemd/system/passerelle.service.d; deluser --quiet --system passerelle' || true
inside dpkg --install "/srv/$older" >/dev/null
inside dpkg --purge passerelle >/dev/null
if inside getent passwd passerelle; then fail "its user stays"; fi
if inside test -e /var/lib/passerelle; then fail "its empty folder stays"; fi
echo "ok: neither user nor folder is left"
