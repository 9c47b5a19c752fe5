"""IPython, Jupyter and Matplotlib write below HOME, which in a container may be missing or read-only."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

PLACES = {"IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "jupyter", "MPLCONFIGDIR": "matplotlib"}


def provide_home() -> None:
    """Where nothing can be written below HOME, name them a temporary folder, for this process and its own."""
    try:
        with tempfile.TemporaryFile(dir=Path("~").expanduser()):
            return
    except (OSError, RuntimeError):  # no such folder, no right to write; no home at all
        folder = tempfile.mkdtemp(prefix="gan-book-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for variable, name in PLACES.items():
        os.environ.setdefault(variable, os.path.join(folder, name))
