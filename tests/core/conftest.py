"""Both kernels for the tests that ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jukebox.core import asof_numpy, kernel

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["compiled", "numpy"])
def either_kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let the tests of a module run under the compiled loops, and once more under NumPy's; return which."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(kernel, "loops", asof_numpy)
        else:
            compiled = pytest.importorskip(
                "jukebox.core._kernel", reason="the kernel is not built: install a C compiler, run `make`"
            )
            patch.setattr(kernel, "loops", compiled)
        yield request.param
