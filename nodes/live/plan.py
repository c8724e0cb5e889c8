"""The floor plan as the page draws it: area, walls, sensors and what they can see, and nobody's secrets.

Ports, addresses, keys and camera URLs (which may hold passwords) stay out. It decides nothing about looks.
"""

from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from ...fusion.geometry import floor_map
from ...sitefile import Camera, Pinhole, Radar, Site

RADAR_HALF_ANGLE = np.radians(60.0)  # of the IWR6843's antennas (protocols A6)
FARTHEST_M = 10.0  # people further away are rarely found
COLUMNS, ROWS = 17, 97  # of the pixels looked at


def plan_of(site: Site) -> dict[str, Any]:
    """{"kind": "site", name, area, identities, simulated, sensors: [{id, kind, x_m, y_m, yaw_rad, view}]}.

    view: the floor that a camera or radar sees, as a polygon [[x, y], ...] in m; empty for sniffers. x_m, y_m and
    yaw_rad are null for a camera known by correspondences only.
    """
    sensors: list[dict[str, Any]] = [_radar(radar) for radar in site.radars]
    sensors += [_camera(camera) for camera in site.cameras]
    for sniffer in site.sniffers:
        x, y, _ = sniffer.position_m
        sensors.append({"id": sniffer.id, "kind": "wifi", "x_m": x, "y_m": y, "yaw_rad": None, "view": []})
    return {
        "kind": "site",
        "name": site.name,
        "area": site.area,
        "identities": [identity.name for identity in site.identities if identity.consent],
        "simulated": site.simulated is not None,
        "sensors": sensors,
    }


def _radar(radar: Radar) -> dict[str, Any]:
    x, y, _ = radar.pose.position_m
    yaw = float(np.radians(radar.pose.yaw_deg))
    angles = yaw + np.linspace(-RADAR_HALF_ANGLE, RADAR_HALF_ANGLE, 25)
    arc = [[x + FARTHEST_M * float(np.cos(a)), y + FARTHEST_M * float(np.sin(a))] for a in angles]
    return {"id": radar.id, "kind": "radar", "x_m": x, "y_m": y, "yaw_rad": yaw, "view": [[x, y], *arc]}


def _camera(camera: Camera) -> dict[str, Any]:
    """The hull of the floor points that its pixels look at: no closer than its image shows, no further than useful."""
    calibration = camera.calibration
    width, height = calibration.image_size
    columns, rows = np.meshgrid(np.linspace(0, width - 1, COLUMNS), np.linspace(0, height - 1, ROWS))
    floor = floor_map(calibration)(np.column_stack([columns.ravel(), rows.ravel()]))
    floor = floor[np.isfinite(floor).all(axis=1)]
    x = y = yaw = None
    if isinstance(calibration, Pinhole):
        x, y, _ = calibration.pose.position_m
        yaw = float(np.radians(calibration.pose.yaw_deg))
        floor = floor[np.hypot(floor[:, 0] - x, floor[:, 1] - y) <= FARTHEST_M]
    else:
        low, high = np.min(calibration.floor_m, axis=0), np.max(calibration.floor_m, axis=0)
        floor = floor[((floor >= low) & (floor <= high)).all(axis=1)]  # where it was calibrated, it is right
    try:
        view = floor[ConvexHull(floor).vertices].round(2).tolist() if len(floor) > 2 else []
    except QhullError:  # all points on one line
        view = []
    return {"id": camera.id, "kind": "camera", "x_m": x, "y_m": y, "yaw_rad": yaw, "view": view}
