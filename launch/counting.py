"""How many of what, as people say it: "1 person", "2 people"."""


def counted(number: int, one: str, many: str = "") -> str:
    """`number` and the noun that goes with it; many: where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
