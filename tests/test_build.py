"""book/build.py on a toy book: what runs again and why, what it refuses, what it leaves alone."""

import json
import os
import re
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import build
import home
import nbformat
import papermill
import papermill.cli
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]

CONFIG = """
title: Toy
only_build_toc_files: true
execute: {execute_notebooks: "off"}
sphinx: {config: {include_patterns: ["book/**"]}}
"""


def write_notebook(path: Path, parameters: str, *code: str) -> None:
    cells = [
        new_markdown_cell(f"# {path.stem}", id="title"),
        new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        *(new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(code)),
    ]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": build.METADATA["kernelspec"]})
    nbformat.write(notebook, path)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Two notebooks, `one` with n and rate, `two` with n and word; the site is not rendered."""
    for folder in ("gan", "book/results/mnist", "book/runs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "_config.yml").write_text(CONFIG)
    toc = {"format": "jb-book", "root": "book/one", "chapters": [{"file": "book/two"}]}
    (tmp_path / "_toc.yml").write_text(json.dumps(toc))
    (tmp_path / "gan/nets.py").write_text("x = 1\n")
    (tmp_path / "book/results/mnist/run.json").write_text("{}")
    (tmp_path / "book/runs/checkpoint.pt").write_text("large")
    here = "from pathlib import Path; print(n, rate, Path('book/results/mnist/run.json').exists())"
    write_notebook(tmp_path / "book/one.ipynb", "n = 3\nrate = 0.5", here)
    write_notebook(tmp_path / "book/two.ipynb", "n = 3\nword = 'a'", "assert n < 9, 'n is large'\nn, word")
    monkeypatch.setattr(build, "environment", lambda: ["cpu"])
    monkeypatch.setattr(build, "render", lambda root, source: 0)
    return tmp_path


@contextmanager
def no_kernel(monkeypatch):
    """Here notebooks "run" at once, without outputs."""

    def execute(path, attempt, *_, **__):
        notebook = nbformat.read(path, as_version=4)
        nbformat.write(notebook, attempt)
        return notebook

    with monkeypatch.context() as patch:
        patch.setattr(papermill, "execute_notebook", execute)
        yield


def tracked(root: Path) -> dict[Path, tuple[bytes, int]]:
    files = [path for path in root.rglob("*") if path.is_file() and "_build" not in path.parts]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def outputs(root: Path, name: str) -> str:
    return json.dumps([c.outputs for c in nbformat.read(root / name, 4).cells if c.cell_type == "code"])


@pytest.mark.parametrize(
    "text",
    [
        "20",
        "-1",
        "0.5",
        "1e-3",
        "nan",
        "True",
        "False",
        "None",
        "true",
        "digits",
        "1e",
        "1.2.3",
        "",
        "[1]",
    ],
)
def test_values_are_typed_as_by_papermill(text):
    expected = papermill.cli._resolve_type(text)
    assert repr(build.typed(text)) == repr(expected)
    assert type(build.typed(text)) is type(expected)


def test_says_what_changed(toy, monkeypatch, capsys):
    def reason(*arguments):
        with no_kernel(monkeypatch):
            assert build.main(list(arguments), root=toy) == 0
        return capsys.readouterr().out.splitlines()[0].removeprefix("one.ipynb: ")

    def edit(cell, **fields):
        notebook = nbformat.read(toy / "book/one.ipynb", 4)
        notebook.cells[cell].update(fields)
        nbformat.write(notebook, toy / "book/one.ipynb")

    assert reason() == "ran in 0 s (first run)"
    assert reason() == "unchanged, kept"
    edit(2, outputs=[nbformat.v4.new_output("stream", text="other")], execution_count=7)
    assert reason() == "unchanged, kept"
    edit(2, source="n + 1")
    assert reason() == "ran in 0 s (notebook changed)"
    edit(2, metadata={"tags": ["hide-input"]})
    assert reason() == "ran in 0 s (notebook changed)"
    (toy / "gan/nets.py").write_text("x = 2\n")
    assert reason() == "ran in 0 s (gan changed)"
    (toy / "book/results/mnist/run.json").write_text("{1}")
    assert reason() == "ran in 0 s (results changed)"
    (toy / "book/results/mnist").rename(toy / "book/results/other")
    assert reason() == "ran in 0 s (results changed)"
    assert reason("-p", "n", "4") == "ran in 0 s (parameters changed)"
    assert reason("-p", "n", "4", "-p", "word", "b") == "unchanged, kept"  # `one` has no word
    monkeypatch.setattr(build, "environment", lambda: ["cuda"])
    (toy / "gan/new.py").write_text("")
    assert reason("-p", "n", "4") == "ran in 0 s (gan, environment changed)"
    assert reason("-p", "n", "4") == "unchanged, kept"


def test_a_parameter_may_be_for_one_notebook(toy, monkeypatch):
    given = {}
    monkeypatch.setattr(build, "run", lambda root, path, own, always: given.update({path.stem: own}))
    build.main(["-p", "n", "4", "-p", "two.n", "5", "-p", "one.rate", "2"], root=toy)
    assert given == {"one": {"n": 4, "rate": 2}, "two": {"n": 5}}


@pytest.mark.parametrize("name", ["epoch", "two.rate", "three.n"])
def test_an_unknown_parameter_is_one_line_and_runs_nothing(toy, capsys, name):
    assert build.main(["-p", "n", "4", "-p", name, "4"], root=toy) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"no notebook has the parameter {name}; there are: n, rate, word\n"
    assert not (toy / "_build").exists()


@pytest.mark.slow
def test_parameters_reach_the_notebooks_that_have_them_and_no_file_changes(toy):
    before = tracked(toy)
    assert build.main(["-p", "n", "4", "-p", "rate", "1e-3", "-p", "word", "None"], root=toy) == 0
    assert "4 0.001 True" in outputs(toy, "_build/source/book/one.ipynb")
    assert "(4, None)" in outputs(toy, "_build/source/book/two.ipynb")
    rendered = (toy / "_build/source/book/one.ipynb").read_text("utf-8")
    assert "papermill" not in rendered and str(toy) not in rendered
    assert nbformat.reads(rendered, 4).cells[2].id == "injected-parameters"  # else random
    assert not (toy / "_build/source/book/runs").exists()
    assert tracked(toy) == before


@pytest.mark.parametrize("file", ["examples/plain.py", "proofs/Plain.v"])
def test_what_pages_show_from_beside_the_book_is_staged_and_follows_its_file(toy, file):
    (toy / file).parent.mkdir()
    for text in ("one", "another"):
        (toy / file).write_text(text)
        assert (build.stage(toy, {}) / file).read_text() == text


@pytest.mark.slow
def test_a_failure_leaves_the_site_and_the_other_notebooks(toy, monkeypatch, capsys):
    with no_kernel(monkeypatch):
        assert build.main([], root=toy) == 0
    site = {path: path.read_bytes() for path in (toy / "_build/source").rglob("*") if path.is_file()}
    monkeypatch.setattr(build, "render", lambda root, source: pytest.fail("rendered after a failure"))
    capsys.readouterr()
    assert build.main(["-p", "n", "20"], root=toy) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("one.ipynb: ran")
    assert printed.err == "two.ipynb: failed: AssertionError: n is large (see _build/failed/two.ipynb)\n"
    assert "AssertionError" in outputs(toy, "_build/failed/two.ipynb")
    assert site == {path: path.read_bytes() for path in (toy / "_build/source").rglob("*") if path.is_file()}


@pytest.mark.slow
def test_refresh_writes_outputs_only_and_twice_the_same(toy):
    path = toy / "book/two.ipynb"
    (toy / "book/one.ipynb").unlink()
    progress = nbformat.read(path, 4)
    progress.cells[2].metadata.tags = ["remove-stderr"]
    progress.cells[2].source = "import sys; print('71 %', file=sys.stderr)\n" + progress.cells[2].source
    nbformat.write(progress, path)
    before = nbformat.read(path, 4)
    assert build.main(["--refresh"], root=toy) == 0
    text = path.read_text("utf-8")
    after = nbformat.reads(text, 4)
    assert [(c.id, c.source, c.metadata) for c in after.cells] == [
        (c.id, c.source, c.metadata) for c in before.cells
    ]
    assert "(3, 'a')" in outputs(toy, "book/two.ipynb")
    assert "71 %" not in outputs(toy, "book/two.ipynb")
    assert [c.execution_count for c in after.cells[1:]] == [1, 2]
    assert after.metadata == build.METADATA
    assert text.endswith("}\n") and str(toy) not in text
    assert build.main(["--refresh"], root=toy) == 0
    assert path.read_text("utf-8") == text
    with pytest.raises(SystemExit, match="2"):
        build.main(["--refresh", "-p", "n", "4"], root=toy)


@pytest.mark.slow
def test_the_site_is_rendered_anew_only_where_it_changed(toy, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(build, "environment", lambda: ["cpu"])
    assert build.main(["-p", "rate", "0.25"], root=toy) == 0
    one, two = (toy / f"_build/html/book/{name}.html" for name in ("one", "two"))
    assert "3 0.25 True" in one.read_text("utf-8")
    assert "# Parameters" not in one.read_text("utf-8")  # the cell that papermill injects
    dates = one.stat().st_mtime_ns, two.stat().st_mtime_ns
    (toy / "_build/source/book/stale.md").write_text("# Stale")
    assert build.main(["-p", "rate", "0.125"], root=toy) == 0
    assert "3 0.125 True" in one.read_text("utf-8")
    assert (one.stat().st_mtime_ns > dates[0], two.stat().st_mtime_ns > dates[1]) == (True, False)
    assert not (toy / "_build/source/book/stale.md").exists()


@pytest.mark.slow
def test_an_error_that_sphinx_only_tells_of_fails_and_is_named(tmp_path, capfd):
    source = tmp_path / "source"
    (source / "book").mkdir(parents=True)
    (source / "_config.yml").write_text(CONFIG)
    (source / "_toc.yml").write_text("format: jb-book\nroot: book/one\n")
    (source / "book/one.md").write_text("# 一\n\n```{figure}\n```\n")
    assert build.render(tmp_path, source) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"jupyter-book failed: \S+/one\.md:3: ERROR: Directive 'figure': .*", last)


def test_pages_offer_the_pdf_where_there_is_one(tmp_path, monkeypatch, capsys):
    html = tmp_path / "html"
    page, plain, offered = html / "book/a.html", html / "book/b.html", html / "_downloads/gan-book.pdf"
    page.parent.mkdir(parents=True)
    page.write_text('<p>全书：<span class="offered-pdf"></span></p>')
    plain.write_text("<p></p>")
    browser, status = None, 0

    def printing(arguments):
        assert arguments[:1] == [str(html)]
        output = Path(arguments[2])
        output.parent.mkdir(exist_ok=True)
        output.write_bytes(b"%" * 2_600_000)
        return status

    fake = SimpleNamespace(find_browser=lambda: browser, main=printing)
    monkeypatch.setitem(sys.modules, "pdf", fake)
    before = page.read_text()
    assert build.offer_pdf(html) == 0 and page.read_text() == before and not offered.exists()
    assert "no PDF: Chromium" in capsys.readouterr().out
    browser = ("chromium", "chromedriver")
    for _ in range(2):
        assert build.offer_pdf(html) == 0
        assert (
            page.read_text().count('href="../_downloads/gan-book.pdf"') == 1
            and "（3 MB）" in page.read_text()
        )
        assert offered.stat().st_size == 2_600_000 and plain.read_text() == "<p></p>"
    status = 1
    assert build.offer_pdf(html) == 1
    browser = None
    assert build.offer_pdf(html) == 0 and page.read_text() == before and not offered.exists()


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda path: path.name)
def test_committed_notebooks_are_as_refresh_writes_them(path):
    text = path.read_text("utf-8")
    notebook = nbformat.reads(text, nbformat.NO_CONVERT)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "make refresh"
    installed = build.installing(build.clean(notebook), ROOT)
    assert nbformat.writes(installed, nbformat.NO_CONVERT) + "\n" == text, "make refresh"


@pytest.mark.slow
def test_colab_installs_from_the_repository_that_the_settings_name(toy):
    """In a first cell that a page does not show, and that does nothing elsewhere."""
    path = toy / "book/two.ipynb"
    (toy / "book/one.ipynb").unlink()
    for url in ("https://example.org/one", "https://example.org/other", ""):
        (toy / "_config.yml").write_text(f'{CONFIG}repository: {{url: "{url}"}}\n')
        assert build.main(["--refresh"], root=toy) == 0
        first, *cells = nbformat.read(path, 4).cells
        assert (first.id, len(cells)) == (("install", 3) if url else ("title", 2))
        if url:
            assert first.metadata.tags == ["remove-cell"] and first.execution_count == 1 and not first.outputs
            assert first.source.endswith(f"%pip install --quiet git+{url}")
            assert "google.colab" in first.source.splitlines()[2]


def test_a_home_that_cannot_be_written_is_replaced(tmp_path, monkeypatch):
    """Missing, a file, or read-only (as /proc is even to root); a good one stays, and so does what is set."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MPLCONFIGDIR", "set")
    for wrong in (tmp_path / "missing", tmp_path / "file", "/proc"):
        for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
            monkeypatch.setenv(variable, "")
            monkeypatch.delenv(variable)
        for place, moved in ((tmp_path, False), (wrong, True)):
            monkeypatch.setenv("HOME", str(place))
            home.provide_home()
            for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
                assert (variable in os.environ) == moved
        folder = Path(os.environ["IPYTHONDIR"]).parent
        assert folder.is_dir() and os.environ["MPLCONFIGDIR"] == "set"
        assert not list(tmp_path.glob("missing"))


@pytest.mark.slow
def test_notebooks_agree_with_their_outputs_where_home_cannot_be_written(tmp_path):
    """pytest --nbval as in a container, and the library's own figures."""
    write_notebook(tmp_path / "one.ipynb", "n = 3", "import matplotlib.pyplot\nprint(n)")
    notebook = nbformat.read(tmp_path / "one.ipynb", 4)
    notebook.cells[2].update(outputs=[nbformat.v4.new_output("stream", text="3\n")], execution_count=2)
    nbformat.write(notebook, tmp_path / "one.ipynb")
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "book").symlink_to(ROOT / "book")
    blocked = {"IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"}
    environment = {name: value for name, value in os.environ.items() if name not in blocked}
    environment |= {"HOME": "/proc", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "one.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_the_book_is_built_where_only_ascii_can_be_printed_and_home_cannot_be_written(toy):
    """And what a failing notebook says in other letters is told all the same."""
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "HOME": "/proc"}
    write_notebook(toy / "book/two.ipynb", "n = 3", "assert n < 9, '图 · ε'")
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'book')!r}); import build; from pathlib import Path\n"
    code += "build.environment = lambda: ['cpu']; build.render = lambda *_: 0\n"
    code += "sys.exit(build.main(sys.argv[1:], root=Path.cwd()))"
    for arguments, status, words in (
        ([], 0, ""),
        (["-p", "n", "20"], 1, r"AssertionError: \u56fe \xb7 \u03b5"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=toy, env=os.environ | environment, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
        assert words in done.stderr and "one.ipynb: ran" in done.stdout
    assert "IPython" not in outputs(toy, "_build/executed/one.ipynb")


def test_binder_installs_the_library_beside_a_torch_for_the_cpu():
    packages = yaml.safe_load((ROOT / ".binder/environment.yml").read_text("utf-8"))["dependencies"]
    bounds = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert {"torch>=2.11", "torchvision>=0.26"} <= {*bounds}
    assert {"pytorch-cpu>=2.11", "torchvision>=0.26", "pip"} <= {*packages}
    script = ROOT / ".binder/postBuild"
    assert os.access(script, os.X_OK) and "pip install" in script.read_text("utf-8")
    assert subprocess.run(["sh", "-n", script]).returncode == 0
