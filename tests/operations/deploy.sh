#!/usr/bin/env bash
# What operators install, looked at by the tools that judge such files: unit, sockets, image, compose, man pages, shells.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Exposure by `systemd-analyze security`, in tenths: what is left over are the sockets that a gateway lives by, and the
# children that may speak for it during an upgrade.
most_exposed=12

usage() {
    cat <<'USAGE'
Checks deploy/ with systemd-analyze, hadolint, yamllint, promtool, man, bash, zsh and fish. Takes seconds; starts nothing.

Usage: tests/operations/deploy.sh --program FILE [--tools DIR]

  --program FILE  the built program
  --tools DIR     where hadolint and yamllint are (default: on the PATH)
  --help          this text

Example: tests/operations/deploy.sh --program target/debug/passerelle --tools ~/.cache/passerelle/deploy/bin

Exit: 0 all passed, 64 wrong usage, otherwise a check failed.
USAGE
}

program=""
while (($# > 0)); do
    case "$1" in
        --help | -h)
            usage
            exit 0
            ;;
        --program | --tools)
            if (($# < 2)); then
                echo "deploy.sh: $1 needs a value" >&2
                exit 64
            fi
            if [[ $1 == --program ]]; then program="$(realpath "$2")"; else export PATH="$2:$PATH"; fi
            shift 2
            ;;
        *)
            echo "deploy.sh: unknown argument $1; see --help" >&2
            exit 64
            ;;
    esac
done
if [[ ! -x $program ]]; then
    echo "deploy.sh: --program must be the built program; see --help" >&2
    exit 64
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Silence is the only good answer of these tools.
silent() {
    local said
    said="$("$@" 2>&1)" || { printf '%s\n' "$said" >&2 && return 1; }
    if [[ -n $said ]]; then
        printf '%s\n%s\n' "$*" "$said" >&2
        return 1
    fi
}

echo "units"
cp deploy/*.service deploy/*.socket "$work"
# The program is not where the package will put it.
sed -i "s|^ExecStart=/usr/bin/passerelle|ExecStart=$program|" "$work/passerelle.service"
silent systemd-analyze --man=no verify "$work"/passerelle.service "$work"/*.socket
systemd-analyze --no-pager security --offline=true --threshold="$most_exposed" "$work/passerelle.service" | tail -n 1

echo "image and compose"
hadolint deploy/Containerfile
yamllint --strict --config-data '{extends: default, rules: {line-length: {max: 130}, document-start: disable}}' \
    deploy/compose.yaml deploy/prometheus.yml
if command -v promtool >/dev/null; then
    promtool check config deploy/prometheus.yml >/dev/null
fi

echo "the package's scripts"
for script in deploy/debian/{postinst,prerm,postrm}; do
    dash -n "$script"
done

echo "manual"
"$program" manual --output "$work/man" >/dev/null
for page in "$work"/man/*.1; do
    said="$(MANWIDTH=100 man --warnings --local-file "$page" 2>&1 >/dev/null)"
    if [[ -n $said ]]; then
        printf '%s: %s\n' "$page" "$said" >&2
        exit 1
    fi
    # What apropos and whatis will find it by.
    lexgrog "$page" >/dev/null
done
ls "$work/man" | wc -l

echo "shells"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$work/passerelle.$shell"
    "$shell" -n "$work/passerelle.$shell"
done
[[ "$(fish --no-config -c "source $work/passerelle.fish; complete --do-complete 'passerelle keys iss'" | cut -f 1)" == issue ]]
