"""`make audit`: under which licences the installed packages stand, and what is known against the pinned ones.

    python tests/audit.py [PIP_AUDIT …]

Lists the licence of every package of requirements.txt that is installed here, as its own metadata states it,
and refuses, by name, one that is neither permissive nor among EXCEPTIONS. Then PIP_AUDIT, a command, looks
all of them up in PyPI's database of vulnerabilities; where that can't be reached, it says so. Exit status: 0,
or 1 where something was refused or found.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from email.message import Message
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path

PERMISSIVE = re.compile(
    r"(The )?(MIT|(0|[234]-clause )?BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|CC0|BSL|HPND|Unlicense"
    r"|Public Domain)\b(?!.*GPL)",
    re.I,
)
EXCEPTIONS = {
    "certifi": "Mozilla Public License 2.0 (MPL 2.0)",  # its files stay under it, and are used as they are
    "hypothesis": "MPL-2.0",
    "pathspec": "Mozilla Public License 2.0 (MPL 2.0)",
    "selenium-axe-python": "Mozilla Public License 2.0 (MPL 2.0)",
    "tqdm": "MPL-2.0 AND MIT",
    "python-flint": "MIT AND LGPL-3.0-or-later",  # of the libraries that its wheels bring along
    "docutils": "*GPL*",  # the GPL is that of a mode of Emacs
    "cuda-toolkit": "",  # NVIDIA's packages come with torch on Linux, and allow that
    "nvidia-*": "*",
}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> set[str]:
    text = (Path(__file__).resolve().parents[1] / "requirements.txt").read_text("utf-8")
    return {plain(name) for name in re.findall(r"^([\w.-]+)==", text, re.M)}


def licence(metadata: Message) -> str:
    """What a package's metadata says, the newest way of saying it first; empty where it says nothing."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [text.split(" :: ") for text in metadata.get_all("Classifier", [])]
    named = [parts[-1] for parts in classifiers if parts[0] == "License" and parts[1:] != ["OSI Approved"]]
    if told := [name for name in named if name != "Other/Proprietary License"]:
        return " AND ".join(re.sub(r"(?<=.) License$", "", name) for name in told)
    said = str(metadata.get("License") or "").strip().splitlines()
    return said[0] if said and said[0] != "UNKNOWN" else ""


def permitted(name: str, text: str) -> bool:
    """Whether every part of ``text`` is permissive, or one of each choice; or it is an exception."""
    parts = re.split(r" AND ", text)
    if text and all(any(PERMISSIVE.match(one.strip("() ")) for one in part.split(" OR ")) for part in parts):
        return True
    return any(fnmatch(name, known) and fnmatch(text, said) for known, said in EXCEPTIONS.items())


def refused(packages: Iterable[Message]) -> list[str]:
    """Print each package's licence; those that may not be used, in words."""
    found = sorted({(plain(one["Name"]), licence(one)) for one in packages})
    for name, text in found:
        print(f"{name:32} {text or '–'}")
    return [f"{name}: {text or 'no licence is stated'}" for name, text in found if not permitted(name, text)]


def vulnerable(report: str) -> list[str]:
    """What pip-audit's JSON has found, in words; ValueError with the reason where it looked nothing up."""
    if not report:
        raise ValueError("it gave no report")
    packages = json.loads(report)["dependencies"]
    looked_up = [one for one in packages if "skip_reason" not in one]
    if not looked_up:
        raise ValueError("the database of vulnerabilities could not be reached")
    print(f"pip-audit: {len(looked_up)} of {len(packages)} pins looked up")
    return [f"{one['name']} {one['version']}: {vuln['id']}" for one in looked_up for vuln in one["vulns"]]


def main(pip_audit: list[str]) -> int:
    names = pinned()
    wrong = refused(one.metadata for one in distributions() if plain(one.metadata["Name"]) in names)
    try:
        done = subprocess.run(pip_audit or ["pip-audit"], capture_output=True, text=True)
        wrong += vulnerable(done.stdout)
    except (OSError, ValueError) as error:
        print(f"pip-audit: skipped, {error}")
    for one in wrong:
        print(f"refused: {one}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
