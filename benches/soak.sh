#!/usr/bin/env bash
# An hour of work of the release build beside a fake Gitea that fails now and then: prints how memory, open files and
# the log of the database went, and what was lost or done twice. `benches/soak.sh 600 8` takes ten minutes with
# eight times as much work; memory keeps up to 24,000 delivery ids, so that it is flat after as many deliveries. Loopback
# only; a few percent of one core; stops by itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --release --locked --quiet
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# A copy, so that a later build does not change what is being watched.
cp "${CARGO_TARGET_DIR:-target}/release/gitea-triage" "$folder/"
GITEA_TRIAGE_TEST_PROGRAM="$folder/gitea-triage" GITEA_TRIAGE_SOAK_S="${1:-3600}" GITEA_TRIAGE_SOAK_TIMES="${2:-1}" \
    cargo test --quiet --locked --test faults soak -- --nocapture
