"""What the banner says of the drift that is watched."""

import shutil
from pathlib import Path

from driftline.cli.banner import banner
from driftline.contract.package import seed_package
from driftline.settings import Settings


def drift_line(settings: Settings) -> str:
    """The line about drift."""
    (line,) = [line for line in banner(settings, 8000).splitlines() if "windows of" in line]
    return line


def test_of_a_folder_of_models_it_says_that_only_the_default_is_watched(tmp_path: Path) -> None:
    shutil.copytree(seed_package(), tmp_path / "models" / "seed")
    assert "of seed only, the default: windows of" in drift_line(Settings(model=tmp_path / "models"))
    for model in (None, tmp_path / "models" / "seed"):
        assert "the default" not in drift_line(Settings(model=model))
