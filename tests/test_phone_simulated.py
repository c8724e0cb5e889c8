"""Simulated phones: what they measure belongs to how their owners walk, and nobody else's stream changes for them."""

from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace
from whowhere.drivers.phone.gateway import Uploads
from whowhere.drivers.simulated.faults import Condition
from whowhere.drivers.simulated.phones import EARTH_UT, MagneticField, simulated_phones
from whowhere.drivers.simulated.phones_air import in_streams, survey
from whowhere.drivers.simulated.phones_twin import Courier, PhoneTwin, as_ours, as_sensor_logger
from whowhere.drivers.simulated.streams import EPOCH_NS, streams
from whowhere.drivers.simulated.world import World
from whowhere.messages import PhoneBatch, Truth, encode
from whowhere.sitefile import Gateway, Phone, Simulated, Site

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def with_phones(site: Site) -> Site:
    names = [identity.name for identity in site.identities]
    return replace(site, phones=tuple(Phone(id=f"phone-{name}", owner=name, source="simulated") for name in names))


@pytest.fixture(scope="module")
def batches(with_phones: Site) -> list[PhoneBatch]:
    return [message for message in streams(with_phones, 120.0, kinds=("phone",)) if isinstance(message, PhoneBatch)]


def test_a_phone_speaks_once_a_second_of_50_samples(with_phones: Site, batches: list[PhoneBatch]) -> None:
    for phone in with_phones.phones:
        ours = [batch for batch in batches if batch.source == phone.id]
        assert 117 <= len(ours) <= 119
        assert [batch.seq for batch in ours] == list(range(len(ours)))
        assert all(after.t_ns - before.t_ns == SECOND_NS for before, after in pairwise(ours))
        assert all(batch.t_ns % SECOND_NS == 0 for batch in ours)
        assert {rows.shape for batch in ours for rows in (batch.acc, batch.gyro, batch.mag)} == {(50, 4)}
        np.testing.assert_allclose(ours[5].gyro[:, 0], np.arange(49, -1, -1) / 50, atol=1e-6)


def test_same_seed_same_bytes_and_another_seed_others(with_phones: Site, batches: list[PhoneBatch]) -> None:
    again = list(streams(with_phones, 10.0, kinds=("phone",)))
    assert [encode(message) for message in again] == [encode(message) for message in batches[: len(again)]]
    other = replace(with_phones, simulated=replace(with_phones.simulated or Simulated(), seed=99))
    assert encode(next(streams(other, 10.0, kinds=("phone",)))) != encode(batches[0])


def test_other_streams_are_the_same_with_phones_and_without(site: Site, with_phones: Site) -> None:
    without = [encode(message) for message in streams(site, 6.0)]
    beside = [encode(message) for message in streams(with_phones, 6.0) if not isinstance(message, PhoneBatch)]
    assert beside == without


def test_a_phone_whose_owner_is_not_in_the_world_is_silent(with_phones: Site) -> None:
    alone = replace(with_phones, simulated=replace(with_phones.simulated or Simulated(), people=1))
    assert {message.source for message in streams(alone, 5.0, kinds=("phone",))} == {with_phones.phones[0].id}
    real = replace(with_phones, phones=tuple(replace(phone, source="app") for phone in with_phones.phones))
    assert not list(streams(real, 5.0, kinds=("phone",)))


def test_steps_are_in_the_acceleration_of_who_walks_and_not_of_who_stands(with_phones: Site) -> None:
    world = World(with_phones, EPOCH_NS)
    walking, standing, rates = [], [], []
    for phone in simulated_phones(world):
        for second in range(3, 90):
            end_ns = EPOCH_NS + second * SECOND_NS
            crowds = [world.people_at(end_ns - SECOND_NS + n * SECOND_NS // 10) for n in range(11)]
            pace = [float(np.hypot(*crowd.velocity[phone.person])) for crowd in crowds]
            size = np.linalg.norm(phone.samples(end_ns)["acc"].xyz, axis=1)
            if min(pace) > 0.8:
                walking.append(size.std())
                strides = float(crowds[-1].phase[phone.person] - crowds[0].phase[phone.person])
                steps_in_it = np.abs(np.fft.rfft(size - size.mean(), 512))
                rates.append(np.argmax(steps_in_it[:52]) * 50 / 512 / (2 * strides))
            elif max(pace) < 0.1:
                standing.append(size.std())
    assert len(walking) > 20
    assert len(standing) > 20
    assert np.median(walking) > 1.0
    assert np.median(standing) < 0.4
    assert 0.85 < np.median(rates) < 1.15


def test_turns_are_in_the_gyroscope(with_phones: Site) -> None:
    """What the gyroscope's vertical part adds up to is how far the heading turned (its bias and noise aside)."""
    world = World(with_phones, EPOCH_NS)
    phone = simulated_phones(world)[0]
    turned, measured = [], []
    for second in range(3, 120):
        end_ns = EPOCH_NS + second * SECOND_NS
        before, after = (world.people_at(end_ns - t_ns) for t_ns in (SECOND_NS, 0))
        heading = after.heading[phone.person] - before.heading[phone.person]
        gyro = phone.samples(end_ns)["gyro"].xyz
        turned.append(abs(float(np.angle(np.exp(1j * heading)))))
        measured.append(float(np.linalg.norm(gyro[:, 1:], axis=1).mean()))
    quick, calm = np.array(turned) > 1.0, np.array(turned) < 0.02
    assert quick.sum() > 5
    assert np.median(np.array(measured)[quick]) > 2 * np.median(np.array(measured)[calm])


def test_iron_bends_the_field_where_it_is() -> None:
    field = MagneticField(3)
    x, y = np.meshgrid(np.arange(0, 60, 0.5), np.arange(0, 60, 0.5))
    bent = field.at(np.column_stack((x.ravel(), y.ravel()))) - EARTH_UT
    assert np.all((bent.std(axis=0) > 6.0) & (bent.std(axis=0) < 10.0))
    columns = bent[:, 0].reshape(x.shape)
    assert np.corrcoef(columns[:, 1:].ravel(), columns[:, :-1].ravel())[0, 1] > 0.9
    assert abs(np.corrcoef(columns[:, 16:].ravel(), columns[:, :-16].ravel())[0, 1]) < 0.3


def test_scans_tell_where_a_phone_is(with_phones: Site, batches: list[PhoneBatch]) -> None:
    """The nearest fingerprints of a survey, by the same names, lie near; a third of the room's size would be chance."""
    bssids, positions, rssi = survey(with_phones, 1.0, 4)
    assert rssi.shape == (len(positions), len(bssids))
    row = {bssid: n for n, bssid in enumerate(bssids)}
    known = np.where(np.isfinite(rssi), rssi, -100.0)
    truth = {m.t_ns: m for m in streams(with_phones, 120.0, kinds=("truth",)) if isinstance(m, Truth)}
    errors, between = [], []
    for phone in with_phones.phones:
        scans = [batch for batch in batches if batch.source == phone.id and batch.scan]
        between += [after.t_ns - before.t_ns for before, after in pairwise(scans)]
        for batch in scans:
            scan_ns = batch.t_ns - round(batch.scan_age_s * SECOND_NS)
            people = truth[EPOCH_NS + round((scan_ns - EPOCH_NS) / 1e8) * 100_000_000 % (120 * SECOND_NS)]
            if phone.owner in people.people:
                heard = np.full(len(bssids), -100.0)
                for bssid, dbm in batch.scan:
                    heard[row[bssid]] = dbm
                near = positions[np.argsort(np.linalg.norm(known - heard, axis=1))[:5]].mean(axis=0)
                errors.append(np.linalg.norm(near - people.position[people.people.index(phone.owner)][:2]))
    assert len(errors) > 100
    assert np.mean(errors) < 2.5
    assert 1.9 < np.mean(between) / SECOND_NS < 2.5


def test_a_survey_is_of_its_seed_and_its_names_are_the_streams_(with_phones: Site) -> None:
    first, again, other = (survey(with_phones, 2.0, 2, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[2], again[2])
    assert not np.array_equal(first[2], other[2])
    assert survey(with_phones, 2.0, 1, pseudonym=str)[0][0].startswith("02:")
    assert first[0][0] == in_streams(with_phones)(survey(with_phones, 2.0, 1, pseudonym=str)[0][0])
    area = with_phones.area
    assert first[1][:, 0].min() > area.x_m[0]
    assert first[1][:, 1].max() < area.y_m[1]
    with pytest.raises(ValueError, match="positive"):
        survey(with_phones, 0.0)


@pytest.mark.parametrize("write", [as_ours, as_sensor_logger])
def test_both_formats_say_what_was_measured(with_phones: Site, batches: list[PhoneBatch], write) -> None:
    phone = simulated_phones(World(with_phones, EPOCH_NS))[0]
    taking = Uploads([phone.phone.id], in_streams(with_phones))
    ends = [batch.t_ns for batch in batches if batch.source == phone.phone.id][:6]
    for end_ns in ends:
        scan = phone.scan(end_ns)
        taking.take(phone.phone.id, write(phone.samples(end_ns), [scan] if scan else [], end_ns), end_ns + 10**8)
    given = taking.finish()
    plain = [batch for batch in batches if batch.source == phone.phone.id][:6]
    assert [batch.t_ns for batch in given] == ends
    for ours, direct in zip(given, plain, strict=True):
        np.testing.assert_allclose(ours.acc, direct.acc, atol=1e-3)
        np.testing.assert_allclose(ours.mag, direct.mag, atol=1e-3)
        assert ours.scan == direct.scan
        assert ours.scan_age_s == pytest.approx(direct.scan_age_s, abs=1e-5)


def test_without_a_gateway_uploads_wait_and_the_oldest_are_dropped(with_phones: Site) -> None:
    phone = simulated_phones(World(with_phones, EPOCH_NS))[0]
    courier = Courier(Gateway(port=9), 1)  # not started: nothing is delivered
    twin, now_ns = PhoneTwin(phone, courier, 0, EPOCH_NS), EPOCH_NS
    while now_ns < EPOCH_NS + 130 * SECOND_NS:
        now_ns = twin.step(now_ns, Condition(silent=now_ns > EPOCH_NS + 126 * SECOND_NS))
    assert 123 <= twin.counters["uploads"] <= 126
    assert twin.counters["dropped"] == twin.counters["uploads"] - 120
