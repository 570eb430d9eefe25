#!/usr/bin/env bash
# Strangers do their worst to the release build, beside ten genuine deliveries a second: pipelined requests, idle, slow and
# large senders, forged deliveries and sign-ins, refused commands, large issues. Prints how long deliveries took, the peak
# of the memory and the lines of the log, and fails when a delivery is lost, the 99th percentile is above a second, memory
# above the limit that ships, or the log above a line a second. `benches/hostile.sh 3600` takes an hour; three minutes
# otherwise. Loopback only, about 1,300 connections at once; stops by itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds="${1:-180}"
if ! [[ "$seconds" =~ ^[1-9][0-9]{0,4}$ ]] || ((seconds > 7200)); then
    echo "hostile.sh: \`$seconds\` is not a number of seconds up to 7200" >&2
    exit 2
fi
ulimit -n "$(ulimit -Hn)"
program="${GITEA_TRIAGE_TEST_PROGRAM:-}"
if [[ -z "$program" ]]; then
    cargo build --release --locked --quiet
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    # A copy, so that a later build does not change what is being attacked.
    cp "${CARGO_TARGET_DIR:-target}/release/gitea-triage" "$folder/"
    program="$folder/gitea-triage"
fi
GITEA_TRIAGE_TEST_PROGRAM="$program" GITEA_TRIAGE_HOSTILE_S="$seconds" \
    timeout "$((seconds + 600))" cargo test --quiet --locked --test faults hostile -- --nocapture
