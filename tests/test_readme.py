"""What the README tells people to write works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kfp import dsl
from kfp.compiler import Compiler

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_is_python_in_under_ten_statements(block):
    """A reader can paste it."""
    lines = [line for line in block.splitlines() if line.strip() and not line.startswith((" " * 8, "from ", "import "))]
    compile(block, "README.md", "exec")
    assert len(lines) < 10


def test_the_kfp_block_compiles(tmp_path):
    """It is a whole pipeline."""
    block = next(block for block in BLOCKS if "jukebox.kfp" in block)
    scope = {"dsl": dsl}
    exec(compile(block, "README.md", "exec", dont_inherit=True), scope)
    Compiler().compile(scope["training"], str(tmp_path / "training.yaml"))
    assert (tmp_path / "training.yaml").exists()


def test_every_link_leads_somewhere():
    """Relative links and pictures are files of the project."""
    prose = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?://)([^)#]+)", prose)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
