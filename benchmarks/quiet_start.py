"""What `recipes/quiet_start.py` does, for the scripts here."""

import pathlib
import runpy

runpy.run_path(str(pathlib.Path(__file__).parents[1] / "recipes" / "quiet_start.py"))
