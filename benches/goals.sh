#!/usr/bin/env bash
# Measures the performance goals (G1–G18, P6) and prints them as a table: must, stretch, measured, holds. Loopback only;
# stops by itself, and all it started with it. `--quick` takes two minutes, `--only G1,G5` picks goals.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/goals" "$@"
