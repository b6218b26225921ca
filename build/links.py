#!/usr/bin/env python3
"""Checks the links of the documents: those of the root, docs/ and examples/.

- What a document links to, or shows as a picture, is in this repository, and so is the heading that a link names.
- README.md links to each document of the root and of docs/: somebody who reads it finds them all.
- The files that CONTRIBUTING.md names in backticks are there: its lists say where a change goes.

Pages elsewhere are not fetched. TestDocuments runs the commands that the documents show.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^[ >]*```.*?^[ >]*```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)|<img\b[^>]*\bsrc=\"([^\"#]*)\"")


def anchor(heading):
    """The fragment that forges give a heading; TestDocuments makes the same."""
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w-]", "", heading.strip().lower().replace(" ", "-"))


def headings(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {anchor(h) for h in re.findall(r"^#+ (.*)$", text, re.M)}


def main():
    documents = sorted(f for pattern in ("*.md", "docs/*.md", "examples/*.md", "examples/*/*.md") for f in ROOT.glob(pattern))
    problems, linked = [], {}
    for document in documents:
        name = document.relative_to(ROOT).as_posix()
        text = FENCE.sub(lambda m: "\n" * m.group().count("\n"), document.read_text(encoding="utf-8"))
        for m in LINK.finditer(text):
            target, fragment = m.group(1) or m.group(3) or "", m.group(2)
            if "://" in target or target.startswith("mailto:"):
                continue
            where = f"{name}:{text.count(chr(10), 0, m.start()) + 1}"
            path = (document.parent / target).resolve() if target else document
            linked.setdefault(name, set()).add(path)
            if not path.exists() or not path.is_relative_to(ROOT):
                problems.append(f"{where}: {target} is not there")
            elif fragment and fragment not in headings(path):
                problems.append(f"{where}: {target} has no heading #{fragment}")
    for document in documents:
        name = document.relative_to(ROOT).as_posix()
        if name != "README.md" and not name.startswith("examples/") and document not in linked.get("README.md", ()):
            problems.append(f"README.md: no link to {name}")
    contributing = ROOT / "CONTRIBUTING.md"
    for i, line in enumerate(contributing.read_text(encoding="utf-8").splitlines(), 1):
        for file in re.findall(r"`(\.?[\w.-]+(?:/[\w.-]+)*/?)`", line):
            if ("/" in file or file.endswith((".go", ".md", ".py"))) and "." in file.strip("./") + ("." if file.endswith("/") else "") \
                    and not (ROOT / file).exists():
                problems.append(f"CONTRIBUTING.md:{i}: {file} is not there")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


main()
