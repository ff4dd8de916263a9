"""The statistics page in a real browser, opened from disk."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from jukebox import feature_statistics
from jukebox.formats import parquet

pytest.importorskip("tensorflow_data_validation", reason="needs pip install 'jukebox[tfx]'")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=3000",
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small table."""
    out = tmp_path_factory.mktemp("statistics")
    table = pa.table({"wide": [1.0, 900.0], "narrow": [5.0, 6.0], "word": ["b", None]})
    parquet.write(out / "rows.parquet", table.to_batches(), schema=table.schema)
    places = {name: str(out / name) for name in ("out", "schema_out", "anomalies_out")}
    feature_statistics.run(data=str(out / "rows.parquet"), **places)
    return out / "out" / "statistics.html"


def shown(page: Path, profile: Path, script: str = "") -> str:
    """Return the document as the browser holds it after the page's own script and then ``script``."""
    acted = profile / "page.html"
    acted.write_text(page.read_text().replace("</body>", f"<script>{script}</script></body>"))
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile / 'profile'}", "--dump-dom", acted.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_page_opens_from_disk_and_counts_its_features(page: Path, tmp_path: Path) -> None:
    """The script ran: it says how many features are shown."""
    assert ">3 of 3 features<" in shown(page, tmp_path)


def test_searching_hides_the_other_features(page: Path, tmp_path: Path) -> None:
    """One of three is left, and the section without any is hidden."""
    search = "search.value = 'WORD'; search.dispatchEvent(new Event('input'));"
    assert ">1 of 3 features<" in shown(page, tmp_path, search)


def test_only_features_with_missing_values_are_shown_on_demand(page: Path, tmp_path: Path) -> None:
    """The box leaves the one column that has a null."""
    assert ">1 of 3 features<" in shown(page, tmp_path, "missing.click();")


def test_a_click_on_a_heading_sorts_by_it_and_a_second_one_turns_it_round(page: Path, tmp_path: Path) -> None:
    """By standard deviation the narrow column comes first, then last."""
    click = "document.querySelector('th[data-key=Std] button').click();"
    once, twice = (re.findall(r'id="f-(wide|narrow)"', shown(page, tmp_path, click * times)) for times in (1, 2))
    assert (once, twice) == (["narrow", "wide"], ["wide", "narrow"])
