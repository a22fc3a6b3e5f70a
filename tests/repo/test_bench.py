"""The benchmark counts, compares and shows as it says; its bucket answers as MinIO does. What it measures is in no test."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bench import __main__ as command
from bench import chart, table
from bench.bucket import BUCKET, SUFFIX, Batch, Shelf, Synthetic, pieces
from bench.ground import Bucket
from bench.plan import Plan, at_least, at_most, below
from bench.posting import post, relay
from bench.processes import Helper, Program
from bench.results import Contender, Figure, Results, Spread, Target, Who, Work, best
from hypothesis import given
from hypothesis import strategies as st
from minio import Minio
from minio.error import S3Error

BURST = Work(
    name="burst",
    title="400 small files & more",
    latency=0.1,
    headline=Figure.FILES_PER_SECOND,
    runs=3,
    contenders=(
        Contender.of(
            Who.SERVICE, [{Figure.FILES_PER_SECOND: each, Figure.PEAK: 128.0} for each in (90.0, 120.0, 100.0)]
        ),
        Contender.of(Who.DEFAULTS, [{Figure.FILES_PER_SECOND: 20.0}]),
        Contender.of(Who.BEST, [{Figure.FILES_PER_SECOND: 40.0}], note="--transfers 16"),
        Contender.of(Who.NAIVE, [{Figure.FILES_PER_SECOND: 10.0}]),
    ),
    targets=(
        Target(wanted="at least 3x rclone's defaults", measured="5x", met=True),
        Target(wanted="at least 3x rclone's best", measured="2.5x", met=False),
    ),
    notes=("Something to know.",),
)
EVENT = Work(
    name="event",
    title="One event",
    latency=0.1,
    headline=Figure.MILLISECONDS,
    runs=3,
    contenders=(
        Contender.of(Who.SERVICE, [{Figure.MILLISECONDS: 120.0}]),
        Contender.of(Who.DEFAULTS, [{Figure.MILLISECONDS: 780.0}]),
    ),
    targets=(),
)
RENAME = Work(
    name="rename",
    title="A folder",
    latency=0.02,
    headline=Figure.CALLS,
    runs=3,
    contenders=(
        Contender.of(Who.SERVICE, [{Figure.CALLS: 500.0}]),
        Contender.of(Who.DEFAULTS, [{Figure.CALLS: 12.0}]),
    ),
    targets=(),
)
RESULTS = Results(
    at="2026-11-21",
    quick=False,
    seconds=1500.0,
    machine=("2 cores, load average 0.10, 0.20, 0.30 (1, 5, 15 minutes)",),
    versions={"rclone": "1.75.2"},
    works=(BURST, EVENT, RENAME),
)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The results in a file."""
    path = tmp_path / "results.json"
    RESULTS.write(path)
    return path


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """The bucket of the benchmark, in its process."""
    with Helper("bench.s3_server", last="MINIO_ENDPOINT") as server:
        made = Bucket(server.settings["MINIO_ENDPOINT"])
        yield made
        made.close()


@pytest.fixture
def client(bucket: Bucket) -> Minio:
    """MinIO's own client of it."""
    return bucket.client()


def batch(prefix: str, *, count: int = 3, size: int = 100, seed: int = 1) -> Batch:
    return Batch(prefix=prefix, count=count, size=size, seed=seed, modified=1_770_000_000)


def read(client: Minio, key: str, **options: int) -> bytes:
    response = client.get_object(BUCKET, key, **options)  # type: ignore[arg-type] # offset and length
    try:
        return response.read()
    finally:
        response.close()
        response.release_conn()


def test_a_figure_is_the_median_with_the_lowest_and_the_highest_run() -> None:
    assert BURST.spread(Who.SERVICE) == Spread(median=100.0, lowest=90.0, highest=120.0)


def test_more_is_better_for_speeds_and_less_for_all_else() -> None:
    assert BURST.ratio(Who.DEFAULTS) == 5.0
    assert EVENT.ratio(Who.DEFAULTS) == 6.5
    assert RENAME.ratio(Who.DEFAULTS) == pytest.approx(0.024)
    assert EVENT.ratio(Who.BEST) is None


def test_the_best_setting_is_that_with_the_best_median() -> None:
    tried = [Contender.of(Who.BEST, [{Figure.MB_PER_SECOND: speed}], note=str(speed)) for speed in (18.0, 54.0, 50.0)]
    assert best(tried, Figure.MB_PER_SECOND).note == "54.0"


def test_a_target_is_met_from_its_limit_on_and_missed_with_nothing_measured() -> None:
    assert [at_least("", 3.0, 3.0).met, at_least("", 2.99, 3.0).met, at_least("", None, 3.0).met] == [
        True,
        False,
        False,
    ]
    assert [at_most("", 3.0, 3.0).met, at_most("", 3.01, 3.0).met, at_most("", None, 3.0).met] == [True, False, False]
    assert [below("", 0.99, 1.0).met, below("", 1.0, 1.0).met] == [True, False]
    assert at_least("", 4.973, 3.0).measured == "4.97x"
    assert at_most("", 1234.0, 3.0, "calls").measured == "1,234 calls"


def test_the_contenders_take_turns(tmp_path: Path) -> None:
    done: list[str] = []

    def deed(name: str) -> Callable[[], dict[Figure, float]]:
        return lambda: done.append(name) or {Figure.SECONDS: len(done)}  # type: ignore[func-returns-value] # on the way

    runs = Plan(quick=True, runs=2, folder=tmp_path).by_turns({"one": deed("one"), "other": deed("other")})

    assert done == ["one", "other"] * 2
    assert [run[Figure.SECONDS] for run in runs["other"]] == [2, 4]


def test_results_come_back_from_their_file_as_they_went_into_it(kept: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    Results.read(kept).write(again)
    assert again.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["{}", "[]", '{"works": [{}]}', "no JSON"])
def test_a_file_that_holds_no_results_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"results\.json holds no results"):
        Results.read(path)


def test_the_tables_say_what_was_met_and_what_was_missed() -> None:
    shown = table.markdown(RESULTS)
    assert "| 400 small files & more | at least 3x rclone's defaults | 5x | met |" in shown
    assert "| 400 small files & more | at least 3x rclone's best | 2.5x | **MISSED** |" in shown
    assert "| 100 ms | files/s | 100 (90 to 120) | 20 | 40 | 10 | 5x | 2.50x |" in shown
    assert "| burst | rclone, best (--transfers 16) | files/s: 40 |" in shown
    assert "- burst: Something to know." in shown
    assert "load average 0.10" in shown


def test_every_table_has_as_many_cells_in_each_row() -> None:
    tables = [part for part in table.markdown(RESULTS).split("\n\n") if part.startswith("|")]
    widths = [{line.count(" | ") for line in part.strip().splitlines()} for part in tables]
    assert [len(width) for width in widths] == [1, 1, 1]


def test_the_chart_draws_speeds_in_proportion() -> None:
    drawing = ET.fromstring(chart.svg(RESULTS))  # noqa: S314 - our own
    bars = [
        (each.get("class"), float(each.get("width", "0")))
        for each in drawing.iter("{http://www.w3.org/2000/svg}rect")
        if each.get("height") == "14"
    ]
    (service, best_of_rclone, defaults, naive), of_event = [width for _, width in bars[:4]], bars[4:]
    assert [name for name, _ in bars] == ["service", "best", "defaults", "naive", "service", "defaults"]
    assert [service / defaults, best_of_rclone / defaults, naive / defaults] == pytest.approx([5.0, 2.0, 0.5], rel=0.01)
    assert of_event[0][1] / of_event[1][1] == pytest.approx(6.5, rel=0.01)
    texts = [each.text for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "400 small files & more; 100 ms" in texts
    assert not any("A folder" in str(text) for text in texts)


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no work that rclone did too"):
        chart.svg(Results(at="", quick=True, seconds=1.0, machine=(), versions={}, works=(RENAME,)))


def test_the_command_prints_and_draws_what_a_file_holds(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--markdown", str(kept)]) == 0
    assert "**MISSED**" in capsys.readouterr().out
    assert command.main(["--out", str(kept), "--chart", str(tmp_path / "chart.svg")]) == 0
    assert (tmp_path / "chart.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_the_command_says_in_a_sentence_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--markdown", str(tmp_path / "absent.json")]) == 1
    assert "The benchmark broke off" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--only", "burst,strange"])
    assert "there is no work strange; the works are burst, " in capsys.readouterr().err


@given(seed=st.integers(0, 10**9), start=st.integers(0, 3 * 10**6), length=st.integers(0, 10**6))
def test_content_is_the_same_however_it_is_cut(seed: int, start: int, length: int) -> None:
    whole = b"".join(pieces(seed, start, length))
    cut = length // 3
    assert len(whole) == length
    assert whole == b"".join((*pieces(seed, start, cut), *pieces(seed, start + cut, length - cut)))


def test_no_two_objects_hold_the_same_bytes() -> None:
    objects = list(batch("a/", count=200).objects())
    assert len({each.etag for each in objects}) == len(objects)


def test_a_listing_sums_up_what_lies_deeper() -> None:
    shelf = Shelf()
    shelf.put(*batch("a/b/", count=2).objects(), *batch("a/", count=2).objects(), *batch("c/", count=1).objects())
    page = shelf.page(prefix="a/", delimiter="/", after="", size=1000)
    assert ([each.key for each in page.objects], page.prefixes) == (
        [f"a/000000{SUFFIX}", f"a/000001{SUFFIX}"],
        ("a/b/",),
    )


def test_the_bucket_lists_by_pages_as_minio_does(bucket: Bucket, client: Minio) -> None:
    keys = [each.key for each in bucket.put(batch("pages/", count=2500))]
    assert client.bucket_exists(BUCKET)
    assert [each.object_name for each in client.list_objects(BUCKET, "pages/", recursive=True)] == keys
    after = client.list_objects(BUCKET, "pages/", recursive=True, start_after=keys[1200])
    assert [each.object_name for each in after] == keys[1201:]


def test_the_bucket_lists_folders(bucket: Bucket, client: Minio) -> None:
    bucket.put(batch("folders/one/"), batch("folders/two/"))
    listed = [(each.object_name, each.is_dir) for each in client.list_objects(BUCKET, "folders/")]
    assert listed == [("folders/one/", True), ("folders/two/", True)]


def test_the_bucket_tells_of_an_object_and_gives_its_bytes(bucket: Bucket, client: Minio) -> None:
    (each,) = bucket.put(batch("bytes/", count=1, size=1_000_000, seed=77))
    content = b"".join(pieces(77, 0, 1_000_000))
    told = client.stat_object(BUCKET, each.key)
    assert (told.size, told.etag) == (1_000_000, each.etag)
    assert told.last_modified == datetime.fromtimestamp(1_770_000_000, UTC)
    assert read(client, each.key) == content
    assert read(client, each.key, offset=999_000) == content[999_000:]
    assert read(client, each.key, offset=10, length=20) == content[10:30]


def test_the_bucket_refuses_as_minio_does(bucket: Bucket, client: Minio) -> None:
    (each,) = bucket.put(batch("refused/", count=1))
    with pytest.raises(S3Error, match="PreconditionFailed"):
        client.get_object(BUCKET, each.key, request_headers={"If-Match": '"other"'})
    with pytest.raises(S3Error, match="InvalidRange"):
        client.get_object(BUCKET, each.key, offset=100)
    with pytest.raises(S3Error, match="NoSuchKey"):
        client.stat_object(BUCKET, "refused/absent")
    assert not client.bucket_exists("elsewhere")


def test_the_bucket_takes_a_write_a_copy_and_a_removal(bucket: Bucket, client: Minio) -> None:
    (each,) = bucket.put(batch("moved/", count=1))
    other = Synthetic(key=each.key, size=7, seed=5, modified=1_770_000_001)
    bucket.write(other)
    copied = bucket.copy(other, "moved/copy")
    bucket.remove(other)
    listed = list(client.list_objects(BUCKET, "moved/", recursive=True))
    assert [(found.object_name, found.size, found.etag) for found in listed] == [("moved/copy", 7, copied.etag)]


class Receiver(http.server.ThreadingHTTPServer):
    """Takes events on loopback; `bodies` are those that it got, each answered after DELAY seconds."""

    def __init__(self, *, status: int = 204, delay: float = 0.0) -> None:
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(delay)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_events_are_posted_once_each_by_several_senders() -> None:
    with Receiver() as receiver:
        answers = post(receiver.server_port, [b"%d" % number for number in range(50)], senders=4)
        receiver.shutdown()
    assert sorted(map(int, receiver.bodies)) == list(range(50))
    assert len(answers) == 50


def test_a_queue_of_events_keeps_their_order_and_holds_up_nobody() -> None:
    """The last act is done while the first answer is still awaited."""
    done: list[int] = []

    def act(number: int) -> Iterator[bytes]:
        done.append(number)
        yield b"%d" % number

    with Receiver(delay=0.2) as receiver:
        relaying = threading.Thread(
            target=relay,
            args=(receiver.server_port, [lambda number=number: act(number) for number in range(4)]),
            kwargs={"hands": 1},
        )
        relaying.start()
        deadline = time.monotonic() + 5
        while len(done) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        posted_by_then = len(receiver.bodies)
        relaying.join()
        receiver.shutdown()
    assert posted_by_then < 4
    assert receiver.bodies == [b"0", b"1", b"2", b"3"]


def test_a_refused_event_ends_the_work() -> None:
    with Receiver(status=403) as receiver:
        with pytest.raises(RuntimeError, match="refused 2 events, the first with 403"):
            post(receiver.server_port, [b"1", b"2"], senders=1)
        receiver.shutdown()


def test_a_program_is_measured_and_one_that_fails_says_why(tmp_path: Path) -> None:
    output = tmp_path / "output.txt"
    ended = Program(["/bin/sh", "-c", "echo hello"], {}, output=output).ended()
    assert ended.output == "hello\n"
    assert ended.seconds >= 0 < ended.peak_bytes
    with pytest.raises(RuntimeError, match="sh -c ended with 3: what was wrong"):
        Program(["/bin/sh", "-c", "echo what was wrong; exit 3"], {}, output=output).ended()
