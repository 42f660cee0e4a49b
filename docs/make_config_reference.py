"""Make the reference of a study's settings again from their dataclasses: ``python docs/make_config_reference.py``."""

from pathlib import Path

from napari_pathlupi.workflows.training.presets import PRESETS
from napari_pathlupi.workflows.training.study_config import StudyConfig
from napari_pathlupi.workflows.training.study_file import written

FILE = Path(__file__).parent / "reference/config.md"

BEGIN = """# The settings of a study

Made by `docs/make_config_reference.py` from the code that holds them; a test fails when this page and the code differ.
`pathlupi init train --preset NAME` writes the same with the values of a preset. `--set section.key=value` changes one.

"""


def page() -> str:
    """Return the page."""
    presets = "\n".join(f"| `{name}` | {preset.words} |" for name, preset in PRESETS.items())
    return f"{BEGIN}| preset | is |\n|---|---|\n{presets}\n\n```toml\n{written(StudyConfig()).rstrip()}\n```\n"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
