"""One pinned, hashed set of packages behind pip, conda and the workflows; one version number."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = [*map(Requirement, [*PROJECT["dependencies"], *EXTRAS["book"], *EXTRAS["sweep"], *EXTRAS["test"]])]
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))


def read_pins(text: str) -> list[tuple[Requirement, list[str]]]:
    """requirements.txt as (pin, its hashes)."""
    lines = [line.split() for line in text.replace("\\\n", "").splitlines() if line[:1].isalnum()]
    split = [([w for w in line if w[:2] != "--"], [w for w in line if w[:2] == "--"]) for line in lines]
    return [(Requirement(" ".join(pin)), hashes) for pin, hashes in split]


PINS = read_pins((ROOT / "requirements.txt").read_text("utf-8"))


def pinned(name: str, python: str, system: str, machine: str) -> list[Version]:
    """The versions of a package that pip would install there."""
    where = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": machine,
    }
    own = [pin for pin, _ in PINS if canonicalize_name(pin.name) == canonicalize_name(name)]
    here = [pin for pin in own if pin.marker is None or pin.marker.evaluate(where)]
    return [Version(next(iter(pin.specifier)).version) for pin in here]


@pytest.mark.parametrize("asked", ASKED, ids=lambda requirement: requirement.name)
def test_each_requirement_has_one_pin_within_its_bounds(asked):
    for python in PYTHONS:
        for platform in PLATFORMS:
            versions = pinned(asked.name, python, *platform)
            assert len(versions) == 1, f"{asked.name} on {python}, {platform}: {versions}"
            assert versions[0] in asked.specifier


def test_each_pin_is_exact_and_hashed():
    assert len(PINS) > 100
    for pin, hashes in PINS:
        assert [part.operator for part in pin.specifier] == ["=="], pin
        assert hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in hashes), pin


@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml"])
def test_no_host_is_named(name):
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host| @ | -c /", text)


def test_conda_installs_the_same_set():
    (by_pip,) = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    assert by_pip == ["-r requirements.txt"]  # an editable install here would break the hash check


def test_python_versions_agree():
    (by_conda,) = [entry for entry in CONDA["dependencies"] if str(entry).startswith("python")]
    allowed = Requirement(by_conda).specifier
    assert [v for v in ("3.10", *PYTHONS, "3.14") if v in allowed] == list(PYTHONS)
    assert "3.11" in SpecifierSet(PROJECT["requires-python"])
    assert "3.10.99" not in SpecifierSet(PROJECT["requires-python"])
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / "Makefile").read_text("utf-8")
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        yaml.safe_load(path.read_text("utf-8"))
        used = re.findall(r'python(?:-version)?: "([\d.]+)"', path.read_text("utf-8"))
        assert used and set(used) <= set(PYTHONS), path


@pytest.mark.parametrize("asked", ASKED, ids=lambda requirement: requirement.name)
def test_what_is_installed_is_what_is_pinned(asked):
    installed = distribution(asked.name)
    if Path(sys.prefix) not in Path(str(installed.locate_file("."))).parents:
        pytest.skip(f"{asked.name} {installed.version} comes from outside this environment (make PYTHON=…)")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    (version,) = pinned(asked.name, python, sys.platform, "arm64" if sys.platform == "darwin" else "x86_64")
    assert Version(Version(installed.version).public) == version


def test_one_version_number():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert PROJECT["version"] == citation["version"]
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_a_borrowed_torch_leaves_out_torch_and_its_libraries_only(tmp_path):
    (program,) = re.findall(r"awk '(.*)' requirements\.txt", (ROOT / "Makefile").read_text("utf-8"))
    program = program.replace("$$", "$")
    done = subprocess.run(
        ["awk", program, ROOT / "requirements.txt"], capture_output=True, text=True, check=True
    )
    kept = read_pins(done.stdout)
    family = re.compile("torch|torchvision|triton|nvidia-.*|cuda-.*")
    assert {pin.name for pin, _ in kept} == {p.name for p, _ in PINS if not family.fullmatch(p.name)}
    assert all(hashes for _, hashes in kept)


@pytest.mark.parametrize("case", ["missing", "no torch", "old python"])
def test_an_unfit_interpreter_is_one_line_and_leaves_nothing(case, tmp_path):
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    real = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    older = "sys.version_info = (3, 10, 0)" if case == "old python" else ""
    if case != "missing":  # an interpreter without site-packages
        python.write_text(f'#!/bin/sh\nexec "{real}" -I -S -c "import sys; {older}\n$2"\n')
        python.chmod(0o755)
    done = subprocess.run(["make", "book", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    expected = {
        "missing": "no such program",
        "no torch": "cannot import torch",
        "old python": "is Python 3.10",
    }
    assert done.returncode != 0
    assert len(said) == 1 and expected[case] in said[0], done.stderr
    assert not (tmp_path / ".venv").exists()
