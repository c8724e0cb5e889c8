"""The fusion engine's cost: replay of the demo site against real time, the share of a core that a usual site takes, and
how the cost of a message grows with people (and their devices).

The growth sites hold one person on 20 m2; two cameras see half the floor each, so that a frame holds half the people,
and one radar and three sniffers stand where the demo's do. Everybody is enrolled with one device. Their messages come
from the simulated world, the camera's without occlusion: boxes at the feet through a homography. The peer is real time:
how long a message may take before the engine falls behind. Times are this thread's processor time; messages are made
beforehand.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from msgspec.structs import replace
from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.drivers.simulated.world import World
from whowhere.fusion.engine import Engine
from whowhere.launch.site_files import load_site
from whowhere.messages import CameraFrame, Message, Truth
from whowhere.sitefile import Area, Camera, Homography, Identity, Simulated, Site, Sniffer

DEMO = Path(__file__).parents[2] / "launch" / "sites" / "demo.toml"
PX_PER_M, FPS = 40, 5
AREA_M2 = 20.0  # of floor for each person
WARM_S, REPEATS = 4.0, 3
CROWDS = {10: (24.0, 3), 50: (12.0, 2), 200: (8.0, 1)}  # people: seconds of messages, repeats
CORE_BUDGET, REAL_TIME_BUDGET = 0.15, 50.0
LOOKS = np.random.default_rng(3).dirichlet(np.full(256, 0.05), 200).astype("f4")


def crowded(people: int) -> Site:
    """A site for `people`, with 2 cameras, 1 radar, 3 sniffers and every device enrolled."""
    demo = load_site(DEMO)
    width = float(np.sqrt(AREA_M2 * people * 1.2))
    depth = AREA_M2 * people / width
    area = Area(x_m=(0.0, width), y_m=(0.0, depth), walls=((0, 0, width, 0), (width, 0, width, depth)))
    cameras = tuple(_overhead(row, width, depth) for row in range(2))
    spots = ((0.3, 0.3, 2.2), (width - 0.3, 0.3, 2.2), (width / 2, depth - 0.3, 2.2))
    return replace(
        demo,
        name=f"crowd of {people}",
        area=area,
        cameras=cameras,
        radars=demo.radars[:1],
        sniffers=tuple(Sniffer(id=f"sniffer-{i + 1}", source="simulated", position_m=p) for i, p in enumerate(spots)),
        identities=tuple(
            Identity(name=f"person-{i}", devices=(f"a4:83:e7:00:{i // 256:02x}:{i % 256:02x}",), consent=True)
            for i in range(people)
        ),
        simulated=Simulated(seed=1, people=people, strangers=0),
    )


def _overhead(row: int, width: float, depth: float) -> Camera:
    """A camera that sees one half of the floor, 40 px to the metre."""
    x0, x1 = row * width / 2, (row + 1) * width / 2
    size = (round((x1 - x0) * PX_PER_M), round(depth * PX_PER_M))
    pixels = ((0, 0), (size[0], 0), (size[0], size[1]), (0, size[1]))
    floor = ((x0, depth), (x1, depth), (x1, 0.0), (x0, 0.0))
    calibration = Homography(image_size=size, pixels_px=pixels, floor_m=floor)
    return Camera(id=f"camera-{row + 1}", source="simulated", fps=FPS, calibration=calibration)


def boxes_of(site: Site, camera: Camera, seconds: float) -> Iterator[CameraFrame]:
    """Frames of everybody in this camera's half."""
    world, rng = World(site, EPOCH_NS), np.random.default_rng(5)
    size, phase = camera.calibration.image_size, site.cameras.index(camera) * 0.5
    corner = np.asarray(camera.calibration.floor_m[0]) if isinstance(camera.calibration, Homography) else np.zeros(2)
    for number in range(int(seconds * FPS)):
        t_ns = EPOCH_NS + int((number + phase) * 1e9 / FPS)
        crowd = world.people_at(t_ns)
        feet = (crowd.position - corner) * (PX_PER_M, -PX_PER_M) + rng.normal(0, 2.0, crowd.position.shape)
        seen = np.flatnonzero(crowd.present & (feet >= 0).all(axis=1) & (feet < size).all(axis=1))
        width, height = 20.0, 44.0
        top_left = feet[seen] - (width / 2, height * (1 - camera.detector.foot_margin))
        boxes = np.column_stack((top_left, np.full(len(seen), width), np.full(len(seen), height)))
        yield CameraFrame(
            source=camera.id,
            t_ns=t_ns,
            seq=number,
            boxes=boxes.astype("f4"),
            scores=np.ones(len(seen), "f4"),
            image_size=size,
            descriptors={"hsv-8x8x4:1": LOOKS[seen]},
        )


def messages_of(site: Site, seconds: float) -> list[Message]:
    others = streams(site, seconds, kinds=("radar", "wifi"))
    frames = (frame for camera in site.cameras for frame in boxes_of(site, camera, seconds))
    return sorted([*others, *frames], key=lambda message: (message.t_ns, message.topic))


def stepped_s(site: Site, messages: list[Message]) -> float:
    """Processor seconds for all messages after the first WARM_S."""
    engine, since_ns = Engine(site), messages[0].t_ns + int(WARM_S * 1e9)
    late = [message for message in messages if message.t_ns >= since_ns]
    for message in messages[: -len(late)]:
        engine.step(message)
    started = time.thread_time()
    for message in late:
        engine.step(message)
    return time.thread_time() - started


def demo_row() -> dict[str, Any]:
    site = load_site(DEMO)
    messages: list[Message] = [m for m in streams(site, 60.0) if not isinstance(m, Truth)]
    span_s = (messages[-1].t_ns - messages[0].t_ns) / 1e9 - WARM_S
    speed = median(span_s / stepped_s(site, messages) for _ in range(REPEATS))
    return row("replay of the demo site", speed, REAL_TIME_BUDGET, "target", "x real time", speed / REAL_TIME_BUDGET)


def crowd_rows(people: int) -> list[dict[str, Any]]:
    site, (seconds, repeats) = crowded(people), CROWDS[people]
    messages = messages_of(site, seconds)
    late = sum(message.t_ns >= messages[0].t_ns + int(WARM_S * 1e9) for message in messages)
    spent_s = median(stepped_s(site, messages) for _ in range(repeats))
    share, us = spent_s / (seconds - WARM_S), spent_s / late * 1e6
    case = f"{people} people, {people} devices, 3 sniffers, 2 cameras, 1 radar"
    rows = [row(f"{case}: cost of a message", us, us / share, "real time", "us", 1 / share)]
    if people == min(CROWDS):
        rows.append(row(f"{case}: share of a core", share, CORE_BUDGET, "target", "share", CORE_BUDGET / share))
    return rows


def row(case: str, ours: float, peer: float, peer_name: str, unit: str, ratio: float) -> dict[str, Any]:
    figures = {"ours": float(f"{ours:.4g}"), "peer": float(f"{peer:.4g}")}
    return {"case": case, **figures, "peer_name": peer_name, "unit": unit, "ratio": round(ratio, 3)}


def run(plots: str | None = None) -> list[dict[str, Any]]:
    """Rows of case, ours, peer, peer_name, unit, ratio (above 1: ours is better, or better than its target); `plots` is
    a folder for a picture of the growth (needs matplotlib)."""
    growth = {people: crowd_rows(people) for people in CROWDS}
    if plots:
        write_plot({people: rows[0]["ours"] for people, rows in growth.items()}, Path(plots) / "fusion_growth.png")
    return [demo_row(), *(line for rows in growth.values() for line in rows)]


def write_plot(us: dict[int, float], path: Path) -> None:
    """The cost of a message (microseconds) against people, both logarithmic, beside growth in step and squared."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    people = np.array(list(us), float)
    first = us[min(us)]
    axes.loglog(people, list(us.values()), "o-", color="#0072b2", label="engine, measured")
    axes.loglog(people, first * people / people[0], ":", color="#777777", label="in step with people")
    axes.loglog(people, first * (people / people[0]) ** 2, "--", color="#777777", label="with their square")
    axes.set(xlabel="people, each with a device", ylabel="us a message", xticks=people)
    axes.set_xticklabels([f"{n:.0f}" for n in people])
    axes.minorticks_off()
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    for line in run():
        sys.stdout.write(json.dumps(line) + "\n")
