"""A published run for the page that plays it: written into the site from book/results when it is built.

Into _static/live/NAME/ come the two networks as they were published (8 bits a weight; `published.js` reads
safetensors), and `about`, a record of what the page says of them. A page that is opened as a file can't
fetch: for it each file is there again as a script, in base64.
"""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

NAME = "mnist"
PLAYERS = ("generator", "discriminator")
ROWS, SIDE = 5, 28  # of samples.png, and of a digit
SHOWN = (0, 1, 2, 3, 99)  # directions of z


def neighbours(picture: Path) -> list[list[int]]:
    """The last column of Figure 2's picture: the training example nearest to each row's last sample."""
    with Image.open(picture) as image:
        grey = np.asarray(image.convert("L"))
    tops = [row * (SIDE + 1) for row in range(ROWS)]
    return [grey[top : top + SIDE, -SIDE:].flatten().tolist() for top in tops]


def directions(weight: NDArray[np.float32]) -> tuple[list[float], NDArray[np.float64]]:
    """How much a first layer's ``weight`` (units, z) makes of directions of z, most first, and these.

    They are its singular values and right singular vectors, in rows, the largest entry of each positive.
    """
    _, strengths, rows = np.linalg.svd(weight.astype(np.float64), full_matrices=False)
    largest = np.take_along_axis(rows, abs(rows).argmax(1)[:, None], axis=1)
    return strengths.tolist(), rows * np.sign(largest)


def about(folder: Path) -> dict[str, Any]:
    """What the page says of the run in ``folder``."""
    from gan import Run  # brings torch
    from gan.book.tables import PROVENANCE

    run = Run.load(folder)
    strengths, rows = directions(run.generator.layers[0].weight.detach().numpy())
    figure = run.record["metrics"]["parzen"]
    return {
        **run.record["weights"],
        **{key: figure[key] for key in ("mean", "standard_error")},
        "provenance": run.provenance(PROVENANCE),
        "neighbours": neighbours(folder / "samples.png"),
        "strengths": strengths,
        "directions": {which + 1: rows[which].tolist() for which in SHOWN},
    }


def write(folder: Path, to: Path) -> None:
    """Write the files of the run in ``folder``, and their scripts, to ``to``."""
    files = {f"{which}.safetensors": (folder / f"{which}.safetensors").read_bytes() for which in PLAYERS}
    files["about.json"] = json.dumps(about(folder), separators=(",", ":")).encode()
    to.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (to / name).write_bytes(content)
        script = f'(globalThis.liveFiles ??= {{}})["{to.name}/{name}"] = "{b64encode(content).decode()}"\n'
        (to / f"{name}.js").write_text(script)


def write_published(app: Sphinx, exception: Exception | None) -> None:
    folder = Path(app.srcdir, "book/results", NAME)
    if not exception and app.builder.format == "html" and folder.is_dir():
        write(folder, Path(app.outdir, "_static/live", NAME))


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("build-finished", write_published)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
