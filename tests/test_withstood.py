"""book/_ext/withstood.py: every number of the table is its record's, and what is not recorded says so."""

import json
import sys
from pathlib import Path

import pytest
import reliability
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book/_ext"))
try:
    import withstood
finally:
    sys.path.remove(str(ROOT / "book/_ext"))


def test_what_is_recorded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIABILITY", str(tmp_path / "found.json"))
    reliability.record("soak", minutes=60.5, trainings=321, memory=512_000_000, growth=-200_000, files=17)
    reliability.record("sigkill", cases=200, while_writing=31, seconds=75)
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    told = withstood.told(found["soak"])
    for part in ("训练 321 次", "历时 60.5 分钟", "内存 512 MB", "多 −0.2 MB", "打开的文件 17 个"):
        assert part in told
    assert withstood.told(found["sigkill"]) == "200 种情形，其中正在存盘的 31 次。"
    assert withstood.origin(found["sigkill"]).endswith("用时 1 分 15 秒。")


def test_the_table_has_each_check_once(pages: dict[str, BeautifulSoup], site: Path) -> None:
    (table,) = pages["book/provenance.html"].select("#reliability table")
    rows = {tr.select("td")[0].get_text(): tr.select("td")[1].get_text() for tr in table.select("tbody tr")}
    file = ROOT / "book/results" / withstood.FILE
    found = json.loads(file.read_text("utf-8")) if file.exists() else {}
    assert [*rows] == [*withstood.CHECKS.values()]
    for name, what in withstood.CHECKS.items():
        if name in found:
            assert f"{found[name].get('cases', '')}" in rows[what] and found[name]["date"] in rows[what]
        else:
            assert rows[what].strip() == withstood.NOT_YET
