"""The built-in policy once more, in plain Python with one regular expression a list: what scoring costs without care,
and a second opinion on every score. Run with a file of issues it prints one line for each."""

import json
import re
import sys
import time

CLASSES = {
    "bug": {"bug", "broken", "crash", "error", "fix", "regression", "hotfix"},
    "research": {"research", "kimi-ready", "investigation", "spike"},
    "feature": {"feature", "feat", "enhancement", "capability", "timmy-capability"},
    "refactor": {"refactor", "cleanup", "tech-debt", "optimization", "perf"},
    "philosophy": {"philosophy", "soul-gap", "discussion", "question", "rfc"},
}
FIRST_IN_LINE = {"security", "data-loss", "blocking", "p0", "critical"}
READY_AT = 5

BRACKET = re.compile(r"\[([^\]]+)\]")
FILE = re.compile(r"src/|tests/|scripts/|\.py|\.html|\.js|\.yaml|\.toml|\.sh", re.IGNORECASE)
FUNCTION = re.compile(r"def |class |function |method |`\w+\(\)`", re.IGNORECASE)
CRITERION = re.compile(
    r"should|must|expect|verify|assert|test.?case|acceptance|criteria"
    r"|pass(?:es|ing)|fail(?:s|ing)|returns?|raises?",
    re.IGNORECASE,
)
TEST = re.compile(r"tox|pytest|test_\w+|\.test\.|assert\s", re.IGNORECASE)
SECTION = re.compile(r"##\s*(?:problem|solution|expected|actual|steps)", re.IGNORECASE)
BLOCKED = re.compile(r"\bblock(?:ed|s|ing)\b", re.IGNORECASE)

TASK_WORDS = {
    "architecture": ["architect", "design", "adr", "system design", "schema"],
    "refactoring": ["refactor", "clean up", "cleanup", "reorganise", "reorganize"],
    "code_review": ["review", "pr review", "pull request review", "audit"],
    "complex_reasoning": ["complex", "hard problem", "debug", "investigate", "diagnose"],
    "research": ["research", "survey", "literature", "benchmark", "analyse", "analyze"],
    "analysis": ["analysis", "profil", "trace", "metric", "performance"],
    "triage": ["triage", "classify", "prioritise", "prioritize"],
    "planning": ["plan", "roadmap", "milestone", "epic", "spike"],
    "creative": ["creative", "persona", "story", "write", "draft"],
    "orchestration": ["orchestrat", "coordinat", "swarm", "dispatch"],
    "parallel_implementation": ["parallel", "concurrent", "batch"],
    "fast_iteration": ["quick", "fast", "iterate", "prototype", "poc"],
}


def scope(title, text, is_meta):
    points = bool(FILE.search(text)) + bool(FUNCTION.search(text)) + (len(title) < 80)
    return max(0, points - 2 * is_meta)


def acceptance(body, text, is_meta):
    criteria = len(CRITERION.findall(text))
    points = (2 if criteria >= 3 else min(criteria, 1)) + bool(TEST.search(text)) + bool(SECTION.search(body))
    return min(3, max(0, points - is_meta))


def alignment(tags, is_meta):
    if tags & CLASSES["bug"]:
        return 3
    if is_meta:
        return 0
    points = 2 * bool(tags & CLASSES["refactor"]) + 2 * bool(tags & CLASSES["feature"]) + ("loop-generated" in tags)
    return min(3, points)


def task_type(title, body):
    text = f"{title} {body}".lower()
    fitting = (task for task, words in TASK_WORDS.items() if any(word in text for word in words))
    return next(fitting, "routine_coding")


def score(issue):
    title, body = issue["title"], issue.get("body") or ""
    labels = [label["name"] for label in issue.get("labels") or []]
    tags = {tag.lower().strip() for tag in BRACKET.findall(title) + labels}
    clean, text = BRACKET.sub("", title).strip(), f"{title}\n{body}"
    is_meta = bool(tags & CLASSES["philosophy"])
    kind = next((kind for kind, words in CLASSES.items() if tags & words), "unknown")
    parts = scope(clean, text, is_meta), acceptance(body, text, is_meta), alignment(tags, is_meta)
    return {
        "number": issue["number"],
        "title": clean,
        "type": kind,
        "tags": sorted(tags),
        "scope": parts[0],
        "acceptance": parts[1],
        "alignment": parts[2],
        "score": sum(parts),
        "ready": sum(parts) >= READY_AT,
        "p0": bool(tags & FIRST_IN_LINE) or kind == "bug",
        "blocked": bool(BLOCKED.search(title) or BLOCKED.search(body)),
        "task_type": task_type(title, body),
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        issues = [json.loads(line) for line in file]
    began = time.perf_counter()
    scored = [score(issue) for issue in issues]
    took = time.perf_counter() - began
    for line in scored:
        print(json.dumps(line))
    print(f"{took * 1e6 / len(issues):.2f}", file=sys.stderr)


if __name__ == "__main__":
    main()
