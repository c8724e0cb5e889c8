"""What happens to bodies: the tracker says it, continuity and identities follow."""

from typing import Literal

import msgspec

from .geometry import Floats

Kind = Literal["born", "found", "lost", "merged"]


class Change(msgspec.Struct, frozen=True):
    """A body was `born` (confirmed), `found` again after a while unseen, `lost`, or `merged` into `other`; mean (4,),
    covariance (4,4), looks (256,). Of one found they are what was seen, and `before` is what was believed."""

    kind: Kind
    number: int
    t_ns: int
    seen_ns: int
    mean: Floats
    covariance: Floats
    looks: Floats
    other: int = -1
    before: "Change | None" = None
