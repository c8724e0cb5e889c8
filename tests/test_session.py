"""Sessions: what is written is read back byte for byte, and a damaged file gives what is whole in it."""

import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from buses import camera, free_bus, health, node, radar, running_hub, site_on, wait_for, wifi
from mcap.reader import make_reader
from mcap.records import Chunk
from mcap.stream_reader import StreamReader
from whowhere.drivers.errors import DeviceRefused
from whowhere.messages import Health, Stamp, encode
from whowhere.nodes import recorder
from whowhere.nodes.bus import Publisher, Received, Subscriber
from whowhere.nodes.node import NodeConfig
from whowhere.nodes.session import Session, SessionError, SessionWriter, free_path, read_session
from whowhere.sitefile import site_as_json

SITE = site_on(free_bus())
MAGIC = b"\x89MCAP0\r\n"


def received(message, boot="boot-1"):
    return Received(message.topic, message, Stamp(boot, message.t_ns + 5), encode(message))


def write(path, messages, chunk_every=0, boot="boot-1"):
    with SessionWriter(path, site_as_json(SITE), {"map": "ab" * 32}) as writer:
        for number, message in enumerate(messages):
            writer.write(received(message, boot), 1_000_000 - number)  # log times run backwards: order is the file's
            if chunk_every and number % chunk_every == 0:
                writer._writer.flush()
    return path


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "nil.mcap").touch()
    with pytest.raises(SessionError, match="it is empty"):
        Session(tmp_path / "nil.mcap")


def test_everything_comes_back_byte_for_byte_in_file_order(tmp_path):
    messages = [radar(), camera(), wifi(), health(), radar("radar-2"), radar(number=1)]
    session = Session(write(tmp_path / "a.mcap", messages))
    records = list(session.records())
    assert [r.body for r in records] == [encode(m) for m in messages]
    assert [r.topic for r in records] == [m.topic for m in messages]
    assert [r.log_time_ns for r in records] == [1_000_000 - n for n in range(6)]
    assert records[0].stamp == Stamp("boot-1", 1_005)
    assert session.ended is None
    assert session.site() == SITE
    assert session.models() == {"map": "ab" * 32}
    assert [encode(m) for m in read_session(tmp_path / "a.mcap")] == [encode(m) for m in messages]


def test_boots_have_channels_of_their_own(tmp_path):
    with SessionWriter(tmp_path / "a.mcap", site_as_json(SITE)) as writer:
        for boot in ("one", "two", "one"):
            writer.write(received(radar(), boot), 1)
    assert [r.stamp.boot for r in Session(tmp_path / "a.mcap").records()] == ["one", "two", "one"]


def test_other_mcap_programs_read_the_file(tmp_path):
    write(tmp_path / "a.mcap", [camera(seq=7)])
    with (tmp_path / "a.mcap").open("rb") as file:
        reader = make_reader(file)
        [(_, channel, message)] = list(reader.iter_messages())
        assert (channel.topic, channel.message_encoding, channel.metadata) == (
            "camera/camera-1",
            "msgpack",
            {"boot": "boot-1"},
        )
        assert (message.sequence, message.publish_time) == (7, 1_005)
        assert next(reader.iter_attachments()).name == "site.json"


def test_a_file_cut_anywhere_gives_its_whole_chunks_and_says_so(tmp_path):
    messages = [radar(number=n) for n in range(40)]
    whole = write(tmp_path / "a.mcap", messages, chunk_every=5).read_bytes()
    data_end = len(whole) - 8  # the closing magic
    counts = []
    for size in range(8, data_end, 29):
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(whole[:size])
        try:
            session = Session(cut)
        except SessionError:
            assert size < 60
            continue
        records = list(session.records())
        assert [r.body for r in records] == [encode(m) for m in messages[: len(records)]]
        assert session.ended is None or "was cut" in session.ended
        assert session.ended is not None or len(records) == 40
        counts.append(len(records))
    assert counts == sorted(counts)
    assert {0, 1, 6, 11, 36, 40} <= set(counts)


def test_a_damaged_chunk_is_left_out_and_counted(tmp_path):
    messages = [radar(number=n) for n in range(20)]
    path = write(tmp_path / "a.mcap", messages, chunk_every=5)
    content = bytearray(path.read_bytes())
    with path.open("rb") as file:
        chunks = [r for r in StreamReader(file, emit_chunks=True).records if isinstance(r, Chunk)]
    content[content.index(chunks[2].data) + len(chunks[2].data) // 2] ^= 0xFF
    path.write_bytes(content)
    session = Session(path)
    numbers = [m.frame_number for m in session.messages()]  # type: ignore[union-attr]
    assert numbers == [n for n in range(20) if not 6 <= n <= 10]
    assert session.counters["damaged"] == 1
    assert str(session.ended).endswith("a.mcap is damaged: 1 of its chunks, each up to a second, cannot be read")


def test_an_impossible_length_ends_the_reading(tmp_path):
    path = write(tmp_path / "a.mcap", [radar()])
    content = bytearray(path.read_bytes())
    length = content.index(b"application/json") + len(b"application/json")  # of the site file, an attachment: 8 bytes
    content[length : length + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(SessionError, match="holds no site file"):
        Session(path).site()


def test_bodies_that_are_no_messages_are_counted(tmp_path):
    with SessionWriter(tmp_path / "a.mcap", site_as_json(SITE)) as writer:
        writer.write(received(radar())._replace(body=b"nonsense"), 1)
        writer.write(received(radar())._replace(topic="unheard/of"), 1)
    session = Session(tmp_path / "a.mcap")
    assert len(list(session.messages())) == 1
    assert session.counters["malformed"] == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not one at all", MAGIC, MAGIC + b"\xff" * 64])
def test_what_is_no_session_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.mcap"
    path.write_bytes(content)
    with pytest.raises(SessionError, match="is not a recording"):
        Session(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(SessionError, match=r"nowhere.mcap cannot be read: No such file"):
        list(read_session(tmp_path / "nowhere.mcap"))


def test_a_recording_is_never_written_over(tmp_path):
    path = write(tmp_path / "a.mcap", [radar()])
    with pytest.raises(SessionError, match="never written over"):
        SessionWriter(path, "{}")
    assert free_path(path) == tmp_path / "a-2.mcap"
    write(free_path(path), [radar()])
    assert free_path(path) == tmp_path / "a-3.mcap"


def test_the_recorder_writes_what_is_said_and_a_restart_a_new_file(tmp_path):
    bus = free_bus()
    config = NodeConfig(
        name="recorder", site=site_on(bus), run_dir=str(tmp_path), options={"out": str(tmp_path / "r" / "a.mcap")}
    )
    with running_hub(bus), Publisher(bus, "radar-1") as publisher:
        for _ in range(2):
            with node(recorder.main, config):
                wait_for(lambda: publisher.is_heard("radar/radar-1"))
                for number in range(50):
                    publisher.publish(radar(number=number))
                time.sleep(0.3)
            wait_for(lambda: not publisher.is_heard("radar/radar-1"))
    for name in ("a.mcap", "a-2.mcap"):
        session = Session(tmp_path / "r" / name)
        numbers = [m.frame_number for m in session.messages() if m.topic == "radar/radar-1"]  # type: ignore[union-attr]
        assert numbers == list(range(50))
        assert session.ended is None
        assert session.site() == config.site


def test_a_recorder_with_an_end_stops_by_itself(tmp_path):
    bus = free_bus()
    options = {"out": str(tmp_path / "a.mcap"), "seconds": "0.3"}
    config = NodeConfig(name="recorder", site=site_on(bus), run_dir=str(tmp_path), options=options)
    with running_hub(bus), node(recorder.main, config):
        wait_for(lambda: (tmp_path / "a.mcap").exists())
        wait_for(
            lambda: (tmp_path / "a.mcap").read_bytes().endswith(MAGIC) and (tmp_path / "a.mcap").stat().st_size > 8
        )


def test_a_full_disk_stops_the_recording_loudly_and_nothing_else(tmp_path):
    bus = free_bus()
    config = NodeConfig(
        name="recorder", site=site_on(bus), run_dir=str(tmp_path), options={"out": str(tmp_path / "a.mcap")}
    )
    refused = []

    def record(node_config, stop):
        with pytest.raises(DeviceRefused, match=r"a.mcap: File too large; free some space") as raised:
            recorder.main(node_config, stop)
        refused.append(str(raised.value))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with running_hub(bus), Subscriber(bus, ["health/recorder"]) as watcher, Publisher(bus, "radar-1") as publisher:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            with node(record, config):
                wait_for(lambda: publisher.is_heard("radar/radar-1"))
                while not refused:
                    publisher.publish(radar())
                    time.sleep(0.001)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        states = {}
        while beat := watcher.receive(0.2):
            assert isinstance(beat.message, Health)
            states[beat.message.state] = beat.message.detail
        assert "File too large" in states["refused"]
        assert publisher.wait_until_heard(["health/radar-1"], 1) == []  # the bus lives
    session = Session(tmp_path / "a.mcap")
    assert len(list(session.records())) > 0 or session.ended
    assert session.site() == config.site


@pytest.mark.system
def test_kill_9_loses_at_most_a_second(tmp_path):
    program = textwrap.dedent("""
        import sys, time
        sys.path.insert(0, sys.argv[2])
        from test_session import received, radar, SITE, SessionWriter, site_as_json
        writer = SessionWriter(sys.argv[1], site_as_json(SITE))
        for number in range(10**9):
            writer.write(received(radar(number=number)), time.time_ns())
            print(time.time_ns(), flush=True)
            time.sleep(0.002)
    """)
    here = str(__import__("pathlib").Path(__file__).parent)
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a.mcap"), here], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    first = int(child.stdout.readline())
    last = first
    while last < first + 1_300_000_000:
        last = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait()
    session = Session(tmp_path / "a.mcap")
    records = list(session.records())
    assert session.ended is not None
    assert last - records[-1].log_time_ns < 1_000_000_000
    assert len(records) > 50
