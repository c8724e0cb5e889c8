"""The learnt models that an engine is handed: it opens no files itself. Without one, its witness does without or is
silent."""

import msgspec

from .evidence.appearance import LooksModel
from .evidence.gait import GaitLike


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """appearance: of looks; without it colour histograms are compared. gait: without it nobody is known by it."""

    appearance: LooksModel | None = None
    gait: GaitLike | None = None
