"""Counts a vitest JSON report by section. Exit status 1 if a test failed that is not of a refused section."""

import json
import sys

REFUSED = ("Fork", "Subscription", "Reserved Subscription", "Webhook", "Pull-wake")
failed_tests = []
sections = {}
for file in json.load(open(sys.argv[1], encoding="utf-8"))["testResults"]:
    if not file["assertionResults"]:
        sys.exit("the suite did not run: " + file.get("message", ""))
    for test in file["assertionResults"]:
        if test["status"] not in ("passed", "failed"):
            continue
        titles = test["ancestorTitles"]
        section = titles[1] if len(titles) > 1 else titles[0] if titles else "(none)"
        counts = sections.setdefault(section, {"passed": 0, "failed": 0})
        counts[test["status"]] += 1
        if test["status"] == "failed" and not section.startswith(REFUSED):
            failed_tests.append((section, test["title"], test["failureMessages"]))

passed = failed = refused = 0
for section, counts in sections.items():
    print(f"{section:44} {counts['passed']:4} passed, {counts['failed']} failed", end="")
    if section.startswith(REFUSED):
        refused += counts["passed"] + counts["failed"]
        print("  (refused)")
    else:
        passed += counts["passed"]
        failed += counts["failed"]
        print()
for section, title, messages in failed_tests:
    print(f"\n-- {section}: {title}")
    print("\n".join("\n".join(messages).splitlines()[:3]))
print(f"\n{passed} passed, {failed} failed, {refused} refused")
sys.exit(1 if failed or not passed else 0)
