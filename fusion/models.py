"""The learnt models that an engine is handed: it opens no files itself. Without one, its witness does without or is
silent."""

import msgspec

from .evidence.appearance import LooksModel


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """appearance: of looks; without it colour histograms are compared."""

    appearance: LooksModel | None = None
