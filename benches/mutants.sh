#!/usr/bin/env bash
# Changes the code one place at a time and counts the changes that no test notices, for the files where a silent
# mistake would cost most. Needs cargo-mutants (`cargo install --locked cargo-mutants`); about half a minute a change,
# one job. What survived stands in mutants/GROUP/mutants.out/missed.txt. `benches/mutants.sh decide --shard 0/4` takes
# one group and hands on what follows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A group: its files, and the tests that are meant for them.
group() {
    case $1 in
        signature) files=(src/gitea/signature.rs) tests=(--test=signature) ;;
        inbox) files=(src/store/inbox.rs src/store/ids.rs src/store/packing.rs) tests=(--lib --test=store) ;;
        plan) files=('src/plan/**/*.rs') tests=(--lib --test=flow) ;;
        decide) files=(src/triage/decide.rs src/triage/evaluate.rs src/triage/lifecycle.rs src/triage/observe.rs) tests=(--lib --test=parity) ;;
        *) echo "there is no group \`$1\`; take signature, inbox, plan or decide" >&2; exit 2 ;;
    esac
}

# Runs a group; changes that were missed are reported at the end, not here.
run() {
    local name=$1
    shift
    group "$name"
    mkdir -p "mutants/$name"
    # To cargo itself, not to the tests: else every change would build the tests of all groups.
    nice cargo mutants --output "mutants/$name" "${files[@]/#/--file=}" --cargo-arg=--locked \
        "${tests[@]/#/--cargo-arg=}" "$@" || true
}

# Caught or timed out of all that could be built, over every group there are results of.
report() {
    local caught missed
    caught=$(cat mutants/*/mutants.out/{caught,timeout}.txt | wc -l)
    missed=$(cat mutants/*/mutants.out/missed.txt | wc -l)
    echo "$caught of $((caught + missed)) changes noticed ($((caught * 100 / (caught + missed))) %)"
}

if [ $# -gt 0 ]; then run "$@"; else for name in signature inbox plan decide; do run "$name"; done; fi
report
