"""The state of the site as Prometheus text (exposition format 0.0.4); it measures nothing itself."""

from collections.abc import Mapping
from typing import get_args

from ...messages import Health, Scene, State


def as_prometheus(scene: Scene | None, healths: Mapping[str, Health]) -> str:
    lines = ["# TYPE whowhere_people gauge"]
    states = [person.state for person in scene.people] if scene else []
    lines += [f'whowhere_people{{state="{state}"}} {states.count(state)}' for state in get_args(State)]
    if scene:
        lines += ["# TYPE whowhere_scene_time_seconds gauge", f"whowhere_scene_time_seconds {scene.t_ns / 1e9:.3f}"]
    for name, pick in (
        ("up", lambda health: int(health.state == "ok")),
        ("rate_hertz", lambda health: health.rate_hz),
        ("lag_seconds", lambda health: health.lag_s),
        ("memory_megabytes", lambda health: health.memory_mb),
        ("clock_offset_seconds", lambda health: health.clock_offset_s),
    ):
        lines.append(f"# TYPE whowhere_{name} gauge")
        for source, health in healths.items():
            if (value := pick(health)) is not None:
                lines.append(f"whowhere_{name}{{source={_quoted(source)}}} {value}")
    lines.append("# TYPE whowhere_counter_total counter")
    for source, health in healths.items():
        for counter, total in health.counters.items():
            lines.append(f"whowhere_counter_total{{source={_quoted(source)},name={_quoted(counter)}}} {total}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
