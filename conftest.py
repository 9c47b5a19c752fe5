"""For all that pytest runs: tests/ and, with --nbval, the notebooks of book/."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).parent / "book/home.py"))["provide_home"]()
