"""Several routes: two buckets into four libraries of two sites, with globs and an archive; and one library closed while the others go on."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.comparing import put_unannounced, reconcile, unannounced
from e2e.console import Console
from e2e.trouble import FOLDER, calm, nudge, open_stage, start_again, wait_until, why_not_ready

from simulator.minio_standin import StandinOptions
from simulator.options import LibraryOptions, SimulatorOptions, SiteOptions
from simulator.stage import Stage

MIB = 1024 * 1024
TEAM = "contoso.sharepoint.com:/sites/team"
COMPTA = "contoso.sharepoint.com:/sites/compta"
SITES = (
    SiteOptions(TEAM),
    SiteOptions(COMPTA, (LibraryOptions("Documents", "Shared Documents"), LibraryOptions("Factures", "Factures"))),
)
ROUTES = """
[[route]]
bucket = "lycee"
prefix = "administration/"

[[route]]
bucket = "lycee"
prefix = "archives/2024/"
library = "Archives"
folder = "/"
delete = false

[[route]]
bucket = "lycee"
prefix = "bts-sio/"
site = "https://contoso.sharepoint.com/sites/compta"
exclude = ["**/*.tmp", "**/~$*"]

[[route]]
bucket = "compta"
site = "contoso.sharepoint.com:/sites/compta"
library = "Factures"
folder = "Re\u00e7ues"
include = ["**/*.pdf"]
"""


@contextmanager
def running(folder: Path, routes: str = ROUTES) -> Iterator[Stage]:
    """A stage with these routes, whose service is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "routes.toml").write_text(routes, encoding="utf-8")
    settings = {"ROUTES_FILE": str(folder / "routes.toml"), "MINIO_BUCKETS": "", "ALLOWED_PREFIXES": ""}
    minio = StandinOptions(queue_dir=folder / "events", buckets=("lycee", "compta"))
    with open_stage(folder, settings=settings, minio=minio, graph=SimulatorOptions(sites=SITES)) as stage:
        stage.minio.add_rule("compta")
        yield stage


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for most tests here."""
    with running(tmp_path_factory.mktemp("routes")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage with all libraries open, and the calls forgotten."""
    yield shared
    shared.graph.change(granted_sites=None)
    calm(shared)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name of the test's own."""
    return str(request.node.name)


def read(stage: Stage, path: str, library: str, site: str) -> bytes | None:
    """What a library holds at PATH."""
    found = stage.graph.item(path, library, site=site)
    return stage.graph.content(path, library, site=site) if found is not None else None


def mirrored(stage: Stage, objects: dict[tuple[str, str], bytes]) -> None:
    """Store OBJECTS, by bucket and key, and let them be mirrored."""
    for (bucket, key), content in objects.items():
        stage.put(key, content, bucket=bucket)
    stage.settle()


def test_each_object_goes_to_the_library_of_its_route(stage: Stage, name: str) -> None:
    large = os.urandom(5 * MIB)
    mirrored(
        stage,
        {
            ("lycee", f"administration/{name}/a.txt"): b"one",
            ("lycee", f"archives/2024/{name}/a.txt"): b"two",
            ("lycee", f"bts-sio/{name}/forms/a: b.bin"): large,
            ("compta", f"{name}/a.pdf"): b"four",
        },
    )

    assert read(stage, f"administration/{name}/a.txt", "Documents", TEAM) == b"one"
    assert read(stage, f"{name}/a.txt", "Archives", TEAM) == b"two"
    assert read(stage, f"bts-sio/{name}/forms/a\uff1a b.bin", "Documents", COMPTA) == large
    assert read(stage, f"Re\u00e7ues/{name}/a.pdf", "Factures", COMPTA) == b"four"
    assert why_not_ready(stage) == ""


def test_an_event_that_changes_nothing_costs_nothing_in_any_library(stage: Stage, name: str) -> None:
    objects = {("lycee", f"bts-sio/{name}.txt"): b"one", ("compta", f"{name}.pdf"): b"two"}
    mirrored(stage, objects)
    stage.graph.clear_calls()
    for bucket, key in objects:
        nudge(stage, key, bucket=bucket)
    stage.settle()
    assert stage.kinds() == []


def test_what_goes_from_minio_goes_from_its_library(stage: Stage, name: str) -> None:
    """To the recycle bin of that one, with the folder that the mirror made for a marker."""
    folder = f"bts-sio/{name}/"
    mirrored(stage, {("lycee", folder): b"", ("lycee", f"{folder}a.txt"): b"a"})
    assert stage.graph.tree("Documents", site=COMPTA)[f"bts-sio/{name}"] is None
    stage.delete(f"{folder}a.txt")
    stage.delete(folder)
    stage.settle()

    assert stage.graph.item(f"bts-sio/{name}", "Documents", site=COMPTA) is None
    assert f"bts-sio/{name}/a.txt" in stage.graph.recycle_bin("Documents", site=COMPTA)


def test_a_key_that_a_glob_leaves_out_is_not_mirrored(stage: Stage, name: str) -> None:
    left_out = {
        ("lycee", f"bts-sio/{name}/a.tmp"): b"x",
        ("lycee", f"bts-sio/{name}/~$a.docx"): b"x",
        ("compta", f"{name}/a.txt"): b"x",
        ("compta", f"{name}/"): b"",
    }
    mirrored(stage, left_out)
    answer = stage.service.post({"EventName": "s3:ObjectCreated:Put", "Key": f"compta/{name}/a.txt"})

    assert answer.status_code == 204
    assert stage.kinds() == []
    said = Console(stage).run("explain", f"compta/{name}/a.txt")
    assert said.code == 0
    assert "No route takes the key" in said.out


def test_an_archive_keeps_what_goes_from_minio(stage: Stage, name: str) -> None:
    """Also a file that is renamed, which is there twice then; a later object under the old key goes on with it."""
    old, new = f"archives/2024/{name}/old.txt", f"archives/2024/{name}/new.txt"
    mirrored(stage, {("lycee", old): b"first"})
    before = stage.graph.item(f"{name}/old.txt", "Archives")
    stage.minio.rename("lycee", old, new)
    stage.settle()
    stage.delete(new)
    stage.settle()

    assert before is not None
    assert (
        read(stage, f"{name}/old.txt", "Archives", TEAM) == read(stage, f"{name}/new.txt", "Archives", TEAM) == b"first"
    )
    said = Console(stage).run("explain", f"lycee/{new}")
    assert (said.code, "Its route keeps files in SharePoint" in said.out) == (0, True)
    assert "stale" not in reconcile(
        stage, "--prefix", f"lycee/archives/2024/{name}/", "--delete", "--foreign", "--force"
    )
    assert read(stage, f"{name}/new.txt", "Archives", TEAM) == b"first"
    mirrored(stage, {("lycee", old): b"second"})
    after = stage.graph.item(f"{name}/old.txt", "Archives")
    assert after is not None
    assert (after.id, after.versions) == (before.id, 2)


def test_a_file_that_an_archive_keeps_is_not_moved_out_of_it(stage: Stage, name: str) -> None:
    mirrored(stage, {("lycee", f"archives/2024/{name}.txt"): name.encode()})
    stage.minio.rename("lycee", f"archives/2024/{name}.txt", f"administration/{name}.txt")
    stage.settle()

    assert read(stage, f"{name}.txt", "Archives", TEAM) == name.encode()
    assert read(stage, f"administration/{name}.txt", "Documents", TEAM) == name.encode()


def test_a_rename_within_a_library_is_a_move_and_out_of_it_an_upload_and_a_removal(stage: Stage, name: str) -> None:
    first, second, third = (f"bts-sio/{name}/{each}.txt" for each in ("a", "b/c", "d"))
    mirrored(stage, {("lycee", first): name.encode()})
    before = stage.graph.item(first, "Documents", site=COMPTA)
    stage.graph.clear_calls()
    stage.minio.rename("lycee", first, second)
    stage.settle()
    moved = stage.graph.item(second, "Documents", site=COMPTA)

    assert before is not None
    assert moved is not None
    assert moved.id == before.id
    assert stage.kinds().count("PUT_CONTENT") == 0
    stage.minio.rename("lycee", second, f"administration/{name}.txt")
    stage.settle()
    assert read(stage, f"administration/{name}.txt", "Documents", TEAM) == name.encode()
    assert stage.graph.item(second, "Documents", site=COMPTA) is None
    assert stage.kinds().count("PUT_CONTENT") == 1
    stage.minio.rename("lycee", f"administration/{name}.txt", third)
    stage.settle()
    assert read(stage, third, "Documents", COMPTA) == name.encode()
    assert stage.graph.item(f"administration/{name}.txt") is None


def test_a_reconcile_compares_all_libraries(stage: Stage, name: str) -> None:
    """It adopts, has uploaded what is missing, and counts nowhere what a glob leaves out."""
    before = reconcile(stage)
    stage.graph.put_foreign(f"bts-sio/{name}/there.txt", b"there", "Documents", site=COMPTA)
    stage.graph.put_foreign(f"bts-sio/{name}/foreign.txt", b"theirs", "Documents", site=COMPTA)
    stage.graph.put_foreign(f"bts-sio/{name}/foreign.tmp", b"theirs", "Documents", site=COMPTA)
    put_unannounced(
        stage, {f"bts-sio/{name}/there.txt": b"there", f"bts-sio/{name}/x.tmp": b"x", f"archives/2024/{name}.txt": b"a"}
    )
    with unannounced(stage, buckets=("compta",)):
        stage.put(f"{name}.pdf", b"new", bucket="compta")
    stage.minio.add_rule("compta")

    found = reconcile(stage)
    assert (found["adopted"], found["new"], found["same"]) == (1, 2, before["same"] + before.get("adopted", 0))
    assert found["foreign"] == before.get("foreign", 0) + 1
    assert read(stage, f"Re\u00e7ues/{name}.pdf", "Factures", COMPTA) == b"new"
    assert read(stage, f"{name}.txt", "Archives", TEAM) == b"a"
    assert stage.graph.item(f"bts-sio/{name}/x.tmp", "Documents", site=COMPTA) is None


def test_a_stale_file_goes_from_its_own_library(stage: Stage, name: str) -> None:
    mirrored(stage, {("compta", f"{name}.pdf"): b"x"})
    with unannounced(stage, buckets=("compta",)):
        stage.delete(f"{name}.pdf", bucket="compta")
    stage.minio.add_rule("compta")

    found = reconcile(stage, "--prefix", f"compta/{name}", "--delete", "--force")
    assert found == {"stale": 1}
    assert stage.graph.item(f"Re\u00e7ues/{name}.pdf", "Factures", site=COMPTA) is None


def test_a_restore_brings_files_back_from_their_library(stage: Stage, name: str) -> None:
    mirrored(stage, {("compta", f"{name}/a.pdf"): b"precious"})
    stage.graph.clear_calls()
    with unannounced(stage, buckets=("compta",)):
        stage.delete(f"{name}/a.pdf", bucket="compta")
    root = {"RESTORE_ACCESS_KEY": stage.minio.root_user, "RESTORE_SECRET_KEY": stage.minio.root_password}
    said = Console(stage, settings=root).run("restore", f"compta/{name}/")
    stage.minio.add_rule("compta")

    assert said.code == 0, said
    assert stage.minio.client().get_object("compta", f"{name}/a.pdf").read() == b"precious"
    nudge(stage, f"{name}/a.pdf", bucket="compta")
    stage.settle()
    assert "PUT_CONTENT" not in stage.kinds()


def test_a_check_tries_every_site_library_and_folder(stage: Stage) -> None:
    said = Console(stage).run("check", "--json")
    steps = [
        step for step in said.document["steps"] if step["step"] in {"site", "library", "permission", "large files"}
    ]

    assert [step["verdict"] for step in steps if step["verdict"] != "ok"] == []
    assert [step["step"] for step in steps].count("site") == 2
    assert [step["step"] for step in steps].count("library") == 4
    tried = " ".join(step["tried"] for step in steps if step["step"] == "permission")
    assert "Re\u00e7ues/sharepoint-proxy-check" in tried
    assert f'in the library "Factures" of {COMPTA}' in tried
    assert len([step for step in said.document["steps"] if step["step"] == "event rules"]) == 4


def test_one_closed_library_makes_only_its_own_keys_wait(stage: Stage, name: str) -> None:
    """It is told, a reconcile leaves it out, and what waits goes on when it is open again."""
    mirrored(stage, {("compta", f"{name}.pdf"): b"before"})
    stage.graph.change(granted_sites=(TEAM,))
    closed = [f"bts-sio/{name}/{number}.txt" for number in range(3)]
    for key in closed:
        stage.put(key, key.encode())
    stage.delete(f"{name}.pdf", bucket="compta")
    wait_until(lambda: "Documents" in why_not_ready(stage) and "Factures" in why_not_ready(stage))
    mirrored_key = f"administration/{name}.txt"
    stage.put(mirrored_key, b"goes on")
    put_unannounced(stage, {f"administration/{name}-quiet.txt": b"quiet"})
    wait_until(lambda: stage.graph.item(mirrored_key))

    assert f"The objects for the default library of {COMPTA} wait." in why_not_ready(stage)
    assert {key for _, key in stage.service.unsettled()} == {*closed, f"{name}.pdf"}
    said = Console(stage).run("reconcile")
    assert said.code == 0
    assert said.err.count("The library is left out.") == 2
    wait_until(lambda: stage.graph.item(f"administration/{name}-quiet.txt"))
    stage.graph.change(granted_sites=None)
    stage.settle(timeout=20)
    wait_until(lambda: why_not_ready(stage) == "")
    assert [read(stage, key, "Documents", COMPTA) for key in closed] == [key.encode() for key in closed]
    assert stage.graph.item(f"Re\u00e7ues/{name}.pdf", "Factures", site=COMPTA) is None


def test_a_library_that_is_closed_at_the_start_keeps_no_other_from_working(stage: Stage, name: str) -> None:
    stage.graph.change(granted_sites=(TEAM,))
    stage.service.stop()
    start_again(stage)
    assert COMPTA in why_not_ready(stage)
    mirrored(stage, {("lycee", f"{FOLDER}/{name}.txt"): b"goes on"})

    assert read(stage, f"administration/{name}.txt", "Documents", TEAM) == b"goes on"
    stage.graph.change(granted_sites=None)
    wait_until(lambda: why_not_ready(stage) == "")
    mirrored(stage, {("lycee", f"bts-sio/{name}.txt"): b"too"})
    assert read(stage, f"bts-sio/{name}.txt", "Documents", COMPTA) == b"too"


def test_a_wrong_file_of_routes_is_refused_with_every_line(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text('[[route]]\nbucket = "lycee"\nprefx = "a"\n\n[[route]]\ndelete = "no"\n', encoding="utf-8")
    stage = make_stage(settings={"ROUTES_FILE": str(routes)})
    stage.service.start(wait=False)
    said = Console(stage).run("status")

    wait_until(lambda: not stage.service.is_running())
    assert said.code == stage.service.stop() == 2
    for problem in (
        "line 3, prefx: there is no such key; did you mean prefix?",
        "line 5, bucket: it is missing",
        "line 6, delete: 'no'",
    ):
        assert f"ROUTES_FILE {routes}, {problem}" in said.err
        assert f"ROUTES_FILE {routes}, {problem}" in stage.service.output()
