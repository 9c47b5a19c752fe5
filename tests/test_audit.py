"""`make audit`: which licences pass, and what is said of a report."""

import json
from email.message import Message

import audit
import pytest


def package(name: str, **fields: str) -> Message:
    metadata = Message()
    metadata["Name"] = name
    for field, value in fields.items():
        metadata[field.replace("_", "-")] = value
    return metadata


@pytest.mark.parametrize(
    ("package", "refused"),
    [
        (package("a", License_Expression="MIT OR GPL-3.0-only"), ""),
        (package("a", License_Expression="Apache-2.0 WITH LLVM-exception AND MIT"), ""),
        (package("a", License="BSD 3-Clause License\n\nCopyright"), ""),
        (package("a", License="?", Classifier="License :: OSI Approved :: ISC License (ISCL)"), ""),
        (package("nvidia_nccl_cu13", License_Expression="LicenseRef-NVIDIA-Proprietary"), ""),
        (package("tqdm", License="MPL-2.0 AND MIT"), ""),
        (package("tqdm", License="AGPL-3.0"), "tqdm: AGPL-3.0"),
        (package("a", License_Expression="MIT AND GPL-3.0-only"), "a: MIT AND GPL-3.0-only"),
        (package("a", Classifier="License :: Other/Proprietary License"), "a: no licence is stated"),
        (package("a", License="Permission is granted to nobody"), "a: Permission is granted to nobody"),
        (package("a", License_Expression="SSPL-1.0"), "a: SSPL-1.0"),
        (package("a", License="UNKNOWN"), "a: no licence is stated"),
    ],
)
def test_only_permissive_licences_pass(package: Message, refused: str) -> None:
    assert audit.refused([package]) == [refused] * bool(refused)


def test_what_is_installed_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(["/no/such/program"]) == 0
    said = capsys.readouterr().out
    assert {"torch", "numpy"} <= {line.split()[0] for line in said.splitlines()}
    assert "pip-audit: skipped, [Errno 2] No such file or directory" in said


def test_a_report_names_what_it_found_and_one_of_nothing_is_none() -> None:
    sound, skipped = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}
    broken = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1"}]}
    assert audit.vulnerable(json.dumps({"dependencies": [sound, skipped, broken]})) == ["c 2: PYSEC-1"]
    assert not audit.vulnerable(json.dumps({"dependencies": [sound]}))
    for report, reason in (("", "no report"), (json.dumps({"dependencies": [skipped]}), "not be reached")):
        with pytest.raises(ValueError, match=reason):
            audit.vulnerable(report)
