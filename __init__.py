"""whowhere: who is where, and how sure are we? Radar, cameras and WiFi fused into one live stream of named positions.

The public names are loaded on first use, so that `import whowhere` costs nothing:
`subscribe(endpoint)` and `Session(path).messages()` give messages, `Engine(Session(path).site()).step(message)` fuses
them. A recording has the site it was made with, whose devices are pseudonyms as in its messages; the site of
`load_site(path)` has their addresses, and an engine that is given it refuses such messages with ValueError.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fusion.engine import Engine as Engine
    from .launch.site_files import load_site as load_site
    from .nodes.session import Session as Session
    from .nodes.session import read_session as read_session
    from .nodes.subscription import subscribe as subscribe

_PUBLIC = {
    "Engine": "fusion.engine",
    "Session": "nodes.session",
    "load_site": "launch.site_files",
    "read_session": "nodes.session",
    "subscribe": "nodes.subscription",
}
__all__ = ["Engine", "Session", "load_site", "read_session", "subscribe"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
