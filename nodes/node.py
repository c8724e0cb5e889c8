"""What every node is started with. A node's module has one `main(config, stop)`; launch/ calls it in a new process."""

import msgspec

from ..sitefile import Site


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """name: the process and source name (a sensor's id, "fusion", "hub", ...). site: wired (nothing "simulated" is left
    in it) and, but for WiFi nodes, published (pseudonyms in place of addresses). run_dir: where this run's
    pseudo-terminals and streams live. options: what the command line said to this node."""

    name: str
    site: Site
    run_dir: str
    options: dict[str, str] = {}
