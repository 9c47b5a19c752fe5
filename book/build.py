"""Build the book: run the notebooks that changed, then render the site to _build/html.

    python book/build.py [-p [NOTEBOOK.]NAME VALUE]... [--refresh]

papermill runs each notebook in the repository's root, with its default parameters or the given ones. The
executed copy is kept in _build/executed with a fingerprint of what its outputs depend on, and runs
again only when one of these differs: the notebook (sources and metadata), gan (its modules),
results (the published runs), parameters (those that this notebook has), environment (device,
versions of Python and of the numerical packages). The site is made from _build/source, a copy of
the sources with the executed notebooks in it, so no file under git changes. Where there is Chromium,
the site is printed (book/pdf.py) if it differs from what was printed last, and offers the PDF.
--refresh instead runs every notebook with its defaults and writes the outputs into book/ itself, and
the English ledger; where _config.yml names a repository, each notebook then begins with a cell, not
shown, by which Colab installs gan from it.

Exit status: 0; 1 if a notebook, the rendering or the printing failed (after a notebook's failure the
site stays as it was), or Sphinx told of an error; 2 for a parameter that no notebook has.
"""

import argparse
import functools
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import english
import nbformat
import papermill
import yaml  # type: ignore[import-untyped]
from home import provide_home
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
IGNORED = {"runs", "checkpoints", "__pycache__", ".ipynb_checkpoints"}
PACKAGES = (
    "torch torchvision numpy pandas scikit-learn scipy sympy python-flint pydantic matplotlib seaborn pillow"
)
INSTALL = """\
import sys

if "google.colab" in sys.modules:
    %pip install --quiet git+{}"""
# Where a page offers the PDF (book/_ext/downloads.py), and what stands there.
OFFER = re.compile(r'(<span class="offered-pdf">).*?(</span>)')
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


def typed(text: str) -> bool | float | str | None:
    """A parameter's value as `papermill -p` reads it."""
    constants = {"True": True, "False": False, "None": None}
    if text in constants:
        return constants[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def find_files(root: Path, folder: str, suffix: str = "") -> list[Path]:
    files = [path.relative_to(root) for path in (root / folder).rglob(f"*{suffix}") if path.is_file()]
    return [root / file for file in sorted(files) if not IGNORED.intersection(file.parts)]


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def digest_files(root: Path, folder: str, suffix: str = "") -> str:
    files = find_files(root, folder, suffix)
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return digest([*hashes, *(str(file.relative_to(root)) for file in files)])


@functools.cache
def environment() -> list[str]:
    import torch

    device = "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else device
    return [device, platform.machine(), sys.version, *map(version, PACKAGES.split())]


def fingerprint(root: Path, notebook: NotebookNode, parameters: dict[str, Any]) -> dict[str, str]:
    cells = [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]
    return {
        "notebook": digest([notebook.metadata, cells]),
        "gan": digest_files(root, "gan", ".py"),
        "results": digest_files(root, "book/results"),
        "parameters": digest(sorted(parameters.items())),
        "environment": digest(environment()),
    }


def difference(old: dict[str, str], new: dict[str, str]) -> str:
    """Why a notebook has to run again; empty if it has not."""
    changed = [name for name in new if new[name] != old.get(name)]
    return "first run" if not old else f"{', '.join(changed)} changed" if changed else ""


def clean(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs from run to run and no reader sees; hide the cell papermill injects."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.update(METADATA)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
            cell.metadata.tags = ["injected-parameters", "remove-cell"]
        if "remove-stderr" in cell.metadata.get("tags", []):  # progress bars
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for noise in ("papermill", "execution", "" if cell.metadata.get("tags") else "tags"):
            cell.metadata.pop(noise, None)
    return notebook


def run(root: Path, path: Path, parameters: dict[str, Any], always: bool) -> NotebookNode | None:
    """The executed notebook, kept if nothing that it depends on changed; None if it failed."""
    source = nbformat.read(path, as_version=4)
    if not any(cell.cell_type == "code" for cell in source.cells):
        return source
    name = path.relative_to(root / "book")
    kept, attempt = root / "_build/executed" / name, root / "_build/failed" / name
    last = nbformat.read(kept, as_version=4) if kept.exists() else nbformat.v4.new_notebook()
    new = fingerprint(root, source, parameters)
    reason = "refresh" if always else difference(last.metadata.get("fingerprint", {}), new)
    if not reason:
        print(f"{name}: unchanged, kept", flush=True)
        return last
    if sys.stdout.isatty():
        print(f"{name}: running ({reason})", end="\r", flush=True)
    for folder in (kept.parent, attempt.parent):
        folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    options = {"cwd": root, "progress_bar": False, "coalesce_streams": True}
    quiet = {"extra_arguments": ["--log-level=CRITICAL"]}  # the kernel's own log, not the notebook's
    try:
        notebook = clean(papermill.execute_notebook(path, attempt, parameters, **options, **quiet))
    except Exception as error:
        kind = getattr(error, "ename", type(error).__name__)
        message = str(getattr(error, "evalue", error)).strip().split("\n")[-1]
        print(f"{name}: failed: {kind}: {message} (see _build/failed/{name})", file=sys.stderr)
        return None
    notebook.metadata["fingerprint"] = new
    nbformat.write(notebook, attempt)
    attempt.replace(kept)
    print(f"{name}: ran in {time.monotonic() - start:.0f} s ({reason})", flush=True)
    return notebook


def refresh(path: Path, executed: NotebookNode) -> None:
    """Put the outputs of `executed` into the notebook under git; its sources and cell ids stay."""
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    for cell, ran in zip(notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell.update(outputs=ran.outputs, execution_count=ran.execution_count)
    nbformat.write(clean(notebook), path, nbformat.NO_CONVERT)


def installing(notebook: NotebookNode, root: Path) -> NotebookNode:
    """With the cell by which Colab installs gan, where a repository is named; without it elsewhere."""
    config = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    notebook.cells = [cell for cell in notebook.cells if cell.id != "install"]
    if url := config.get("repository", {}).get("url"):
        options = {"id": "install", "metadata": {"tags": ["remove-cell"]}}
        notebook.cells.insert(0, nbformat.v4.new_code_cell(INSTALL.format(url), **options))
    return notebook


def stage(root: Path, executed: dict[Path, NotebookNode]) -> Path:
    """Bring _build/source up to date; what did not change is not written, for Sphinx's sake."""
    source = root / "_build/source"
    shown = [*find_files(root, "examples", ".py"), *find_files(root, "proofs", ".v")]  # on pages
    files = [root / "_config.yml", root / "_toc.yml", *find_files(root, "book"), *shown]
    staged = {source / file.relative_to(root): file for file in files}
    for target, file in staged.items():
        content = file.read_bytes()
        if file in executed:
            content = nbformat.writes(executed[file]).encode()
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for target in source.rglob("*"):
        if target.is_file() and target not in staged:
            target.unlink()
    return source


def render(root: Path, source: Path) -> int:
    """jupyter-book, quiet but for its warnings; 1 if it failed, or told of an error, else 0."""
    program = Path(sysconfig.get_path("scripts"), "jupyter-book")
    command = [str(program), "build", "-q", ".", "--path-output", str(root)]
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    errors = []
    options |= {"encoding": "utf-8", "errors": "replace"}
    with subprocess.Popen(command, cwd=source, **options) as process:
        for line in process.stderr or ():
            print(line, end="", file=sys.stderr, flush=True)
            told = re.sub(r"\x1b\[[\d;]*m", "", line).strip()  # without its colours
            errors += [told] if re.search(r"\b(ERROR|CRITICAL|SEVERE):", told) else []
    if process.returncode or errors:
        print(": ".join(["jupyter-book failed", *errors[:1]]), file=sys.stderr)
        return 1
    print("site: _build/html/index.html", flush=True)
    return 0


def offer_pdf(html: Path) -> int:
    """Print the site and link the PDF where pages offer it; without Chromium none does. The exit status."""
    pages = {page: page.read_text("utf-8") for page in find_files(html, "book", ".html")}
    offering = [page for page, text in pages.items() if OFFER.search(text)]
    link, to = "", html / "_downloads/gan-book.pdf"
    if offering:
        import pdf  # what prints is needed for nothing else

        printed = html.parent / "pdf/gan-book.pdf"
        if pdf.find_browser() is None:
            print("no PDF: Chromium (or Chrome) and chromedriver are not on PATH", flush=True)
            to.unlink(missing_ok=True)
        elif status := pdf.main([str(html), "-o", str(printed)]):
            return status
        else:
            to.parent.mkdir(exist_ok=True)
            shutil.copyfile(printed, to)
            size = f"{to.stat().st_size / 1e6:.0f} MB"
            link = f'整本书的 <a class="reference" href="../_downloads/gan-book.pdf">PDF</a>（{size}）。'
    for page in offering:
        if (text := OFFER.sub(rf"\g<1>{link}\g<2>", pages[page])) != pages[page]:
            page.write_text(text, "utf-8")
    return 0


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description="Run what changed and render the book.")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--refresh", action="store_true", help="rewrite the committed outputs")
    args = parser.parse_args(arguments)
    if args.refresh and args.p:
        parser.error("--refresh takes no -p: committed outputs are those of the defaults")

    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the debugger prints a warning
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment, not the user's
    provide_home()
    logging.getLogger("papermill").setLevel(logging.ERROR)
    given = {name: typed(value) for name, value in args.p}
    accepted = {p: set(papermill.inspect_notebook(p)) for p in find_files(root, "book", ".ipynb")}
    stems = {path.stem: names for path, names in accepted.items()}
    known = sorted(set().union(*accepted.values()))
    for key in given:
        notebook, _, name = key.rpartition(".")
        if name not in known or (notebook and name not in stems.get(notebook, ())):
            print(
                f"no notebook has the parameter {key}; there are: {', '.join(known)}",
                file=sys.stderr,
            )
            return 2

    if args.refresh:
        for path in accepted:
            notebook = installing(nbformat.read(path, nbformat.NO_CONVERT), root)
            nbformat.write(notebook, path, nbformat.NO_CONVERT)
    executed: dict[Path, NotebookNode] = {}
    for path, names in accepted.items():
        own = {name: given[key] for name in names for key in (name, f"{path.stem}.{name}") if key in given}
        if notebook := run(root, path, own, always=args.refresh):
            executed[path] = notebook
    if len(executed) < len(accepted):
        return 1
    if not args.refresh:
        return render(root, stage(root, executed)) or offer_pdf(root / "_build/html")
    for path, notebook in executed.items():
        refresh(path, notebook)
    if (root / "book/claims.yml").is_file():
        english.write(root)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
