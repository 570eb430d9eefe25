#!/usr/bin/env bash
# Lighthouse's marks for each kind of page of the dashboard, as on a phone, on the `demo`, the middle one of three:
# performance, accessibility, best practices, first paint, blocking time, layout shift, and KiB sent. Needs npm, curl and
# chromium; loopback only, but for the first install; stops by itself. PROGRAM names another build than the debug one;
# arguments name single pages, such as `deliveries`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=12.8.2
program=${PROGRAM:-${CARGO_TARGET_DIR:-target}/debug/gitea-triage}
[ -n "${PROGRAM:-}" ] || cargo build --locked --quiet
tools=${CARGO_TARGET_DIR:-target}/lighthouse-$version
[ -x "$tools/node_modules/.bin/lighthouse" ] ||
    npm install --silent --no-audit --no-fund --prefix "$tools" "lighthouse@$version"
CHROME_PATH=$(command -v chromium) || { echo 'needs chromium' >&2; exit 1; }
export CHROME_PATH
folder=$(mktemp -d)
demo=
trap '[ -z "$demo" ] || kill "$demo" 2>/dev/null || true; rm -rf "$folder"' EXIT

"$program" demo --pace 0s >"$folder/said" 2>"$folder/log" &
demo=$!
for _ in $(seq 120); do
    grep -q '^all recorded deliveries' "$folder/said" && break
    kill -0 "$demo" 2>/dev/null || break
    sleep 1
done
grep -q '^all recorded deliveries' "$folder/said" || { cat "$folder/log" >&2; exit 1; }
entrance=$(grep -o 'http://[^ ]*' "$folder/said" | head -n 1)
dashboard=$(cut -d/ -f1-3 <<<"$entrance")
cookie=$(curl -s -D - -o /dev/null "$entrance" | sed -n 's/^set-cookie: \([^;]*\).*/\1/Ip' | head -n 1)
[ -n "$cookie" ] || { echo "no session from $entrance"; exit 1; }

# The first page of its kind that a list leads to.
first() {
    curl -fsS -H "Cookie: $cookie" "$dashboard/$1" >"$folder/page"
    grep -o -m 1 "href=\"/$2/[^\"?#]*" "$folder/page" | sed -n '1s|^href="/||p'
}

pages=("$@")
if [ $# -eq 0 ]; then
    pages=('' deliveries issues agents days acts runners sessions 'search?q=login' sign-in)
    # One at a time: of several in one command only the last one's failure counts.
    for kind in 'deliveries deliveries' 'issues issues' 'runners runs'; do
        page=$(first ${kind}) || { echo "no link: $kind" >&2; exit 1; }
        pages+=("$page")
    done
    page=$(first "$(first issues issues)" decisions)
    pages+=("$page")
fi
for page in "${pages[@]}"; do
    headers="{\"Cookie\": \"$cookie\"}"
    [ "$page" != sign-in ] || headers='{}'
    for run in 1 2 3; do
        "$tools/node_modules/.bin/lighthouse" "$dashboard/$page" --quiet --no-enable-error-reporting \
            --output json --output-path "$folder/$run.json" \
            --only-categories performance,accessibility,best-practices --extra-headers "$headers" \
            --chrome-flags='--headless --no-sandbox'
    done
    node -e '
        const runs = [1, 2, 3].map((run) => JSON.parse(require("fs").readFileSync(`${process.argv[1]}/${run}.json`)));
        runs.sort((one, other) => one.categories.performance.score - other.categories.performance.score);
        const { categories, audits } = runs[1];
        const marks = Object.values(categories).map((one) => Math.round(one.score * 100));
        const paint = Math.round(audits["first-contentful-paint"].numericValue);
        const blocked = Math.round(audits["total-blocking-time"].numericValue);
        const shift = audits["cumulative-layout-shift"].numericValue.toFixed(3);
        const kib = (audits["total-byte-weight"].numericValue / 1024).toFixed(1);
        console.log("/" + process.argv[2], ...marks, paint + " ms", blocked + " ms", shift, kib + " KiB");' "$folder" "$page"
done
