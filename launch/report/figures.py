"""The headline: each figure of the evaluation as a tile, with its meaning in a few words.

The figures are `evaluate session`'s own, so that page and command never disagree.
"""

from typing import Any, NamedTuple

from .story import Story
from .svg import clock


class Tile(NamedTuple):
    value: str
    name: str
    meaning: str


def judged(result: dict[str, Any]) -> list[Tile]:
    """What only truth can tell."""
    confirmed, wait, tracking = result["confirmed"], result["time_to_confirm_s"], result["tracking"]
    spread = result["position_error_percentiles_m"]
    top, every = result["calibration"]["expected_error"], result["calibration_all"]["expected_error"]
    unseen = f"{percent(result['named_right_unseen'])} out of view, {percent(result['named_right_all'])} in all"
    ratio = result["error_vs_oracle"]
    oracle = f"{metres(result['oracle_error_m'])}: the same bodies with every name known"
    switches = f"HOTA {percent(tracking['hota'])}, MOTA {percent(tracking['mota'])}, {tracking['switches']} switches"
    return [
        Tile(percent(result["named_right"]), "named right", f"of device-time with the owner in view; {unseen}"),
        Tile(percent(confirmed["precision"]), "confirmed names right", f"{percent(confirmed['recall'])} of seen "
             "device-time is confirmed and right"),
        Tile(seconds(wait["median"]), "to confirm", f"from first seen; median of the {wait['confirmed']} who were, "
             f"{wait['never']} were not"),
        Tile(metres(result["position_error_m"]), "position error", f"mean of named positions; half within "
             f"{metres(spread['50'])}, 95 % within {metres(spread['95'])}"),
        Tile("not known" if ratio is None else f"{ratio:.2f} ×", "the oracle's error",
             f"published names against {oracle}"),
        Tile(percent(top), "calibration error", f"expected, of each body's top name; {percent(every)} of all names"),
        Tile(percent(tracking["idf1"]), "bodies followed (IDF1)", switches),
    ]  # fmt: skip


def seen(result: dict[str, Any], story: Story) -> list[Tile]:
    """What any recording tells."""
    first_ns, last_ns = story.span_ns
    told = [event.type for event in story.events]
    shares = state_shares(story)
    rest = ", ".join(f"{state} {percent(share)}" for state, share in shares.items() if state != "confirmed")
    latency = result["latency_ms"]
    late = f"{result['dropped']} dropped, {result['late']} late"
    return [
        Tile(clock((last_ns - first_ns) / 1e9), "long", f"{len(story.scene_ns)} scenes, {result['messages']} messages"),
        Tile(percent(shares.get("confirmed", 0.0)), "of named time confirmed", rest) if shares else
        Tile("nobody", "was named", "no enrolled person was published"),
        Tile(str(told.count("confirm")), "confirmations", f"{told.count('revise')} revised, "
             f"{told.count('warning')} warnings"),
        Tile(_ms(latency["p50"]), "latency", "median from sensing to publishing"
             f"{'' if latency['p99'] is None else '; 99 % within ' + _ms(latency['p99'])}; {late}"),
    ]  # fmt: skip


def state_shares(story: Story) -> dict[str, float]:
    """Of the time in which names were published, the share in each state."""
    states: dict[str, int] = {}
    for ribbon in story.ribbons.values():
        for block in ribbon.blocks:
            if block.state:
                states[block.state] = states.get(block.state, 0) + block.to_ns - block.from_ns
    whole = sum(states.values())
    return {state: length / whole for state, length in sorted(states.items())} if whole else {}


def percent(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}".replace("%", " %")


def metres(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f} m"


def seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def _ms(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f} ms"
