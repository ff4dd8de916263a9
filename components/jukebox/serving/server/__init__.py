"""``jukebox serve``: features and predictions over HTTP, for whoever cannot call the reader itself."""

from jukebox.serving.server.app import make_app
from jukebox.serving.server.settings import Limits, Model

__all__ = ["Limits", "Model", "make_app"]
