#!/usr/bin/env bash
# Prints the size of the stripped release binary, the idle memory of `serve`, the time to its first answer, and how
# long scoring 10,000 issues of 2 KB takes. Loopback only; stops by itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --release --locked --quiet
program=target/release/gitea-triage
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

printf 'release binary: %s MiB\n' "$(stat -c %s "$program" | awk '{printf "%.1f", $1 / 1048576}')"

port=$((20000 + RANDOM % 20000))
cat > "$folder/config.toml" <<CONFIG
[gitea]
url = "http://127.0.0.1:9"
token = "none"
repos = ["acme/widgets"]
[server]
listen = "127.0.0.1:$port"
[webhook]
secrets = ["footprint"]
[store]
url = "sqlite:$folder/footprint.db"
CONFIG
began=$(date +%s%N)
"$program" serve --config "$folder/config.toml" 2>"$folder/log" &
server=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    [ $(($(date +%s%N) - began)) -lt 10000000000 ] || { cat "$folder/log"; exit 1; }
done
printf 'start to first connection: %d ms\n' $((($(date +%s%N) - began) / 1000000))
sleep 3
printf 'idle memory: %s MiB\n' "$(awk '/VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$server/status")"

python3 - > "$folder/issues.jsonl" <<'PYTHON'
import json, random
pick = random.Random(7)
words = "router timeout agent must should expect src/agent.py def run config retry memory the of and to assert plan".split()
for number in range(1, 10001):
    body = "## Problem\n"
    while len(body) < 2000:
        body += pick.choice(words) + " "
    print(json.dumps({"number": number, "title": f"[bug] number {number}", "body": body, "labels": [], "assignees": None, "created_at": "2026-01-01T00:00:00Z", "state": "open"}))
PYTHON
began=$(date +%s%N)
"$program" score --json "$folder/issues.jsonl" > "$folder/scored"
printf 'score of %d issues of 2 KB: %d ms\n' "$(wc -l < "$folder/scored")" $((($(date +%s%N) - began) / 1000000))
