"""What a reconcile makes of routes, prefixes, names that cannot be had, and of a dry run."""

from collections.abc import Callable, Iterator

import pytest
from e2e.comparing import (
    FOLDER,
    content_of,
    delete_unannounced,
    fill_library,
    mirror,
    put_unannounced,
    reconcile,
    running,
    scratch,
    tables,
    writes,
)
from e2e.console import Console
from e2e.trouble import calm, wait_until_parked

from simulator.minio_standin import StandinOptions
from simulator.stage import Stage

MakeStage = Callable[..., Stage]
PATH_TOO_LONG = "long/" * 80 + "a.txt"
NAME_TOO_LONG = "_vti_" * 50
"""SharePoint keeps that word for itself, so that each needs a longer notation."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for the tests here that have a folder of their own."""
    with running(tmp_path_factory.mktemp("places")) as stage:
        yield stage


@pytest.fixture
def common(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    """A folder of the test's own."""
    return f"{FOLDER}/{request.node.name}"


def compare(stage: Stage, folder: str, *options: str, code: int = 0) -> dict[str, int]:
    """Reconcile what is in FOLDER."""
    return reconcile(stage, "--prefix", f"lycee/{folder}/", *options, code=code)


def parkings(stage: Stage, part: str) -> list[str]:
    """The keys with PART in them that were parked, in order, as often as they were."""
    for _, key, state in stage.service.journal():
        if state == "parked":
            # It is told after it is written down.
            wait_until_parked(stage, key)
    return [line["key"] for line in stage.service.log() if line["event"] == "parked" and part in line["key"]]


def test_names_that_cannot_be_had_are_parked_once(common: Stage, folder: str) -> None:
    """Not each time anew: only a change of the name can help."""
    refused = {f"{folder}/{name}": b"content" for name in (PATH_TOO_LONG, NAME_TOO_LONG)}
    put_unannounced(common, {**refused, f"{folder}/good.txt": b"good"})

    assert compare(common, folder) == {"new": 1, "refused": 2}
    assert sorted(parkings(common, folder)) == sorted(refused)
    assert compare(common, folder) == {"same": 1, "parked": 2}
    assert len(parkings(common, folder)) == 2
    assert [call for call in writes(common) if "good" not in call] == []


@pytest.mark.parametrize("twin", ["A.TXT", "a.txt/below.txt"])
def test_a_key_whose_place_is_taken_is_parked_once(common: Stage, folder: str, twin: str) -> None:
    """It gets the place when the other one goes."""
    put_unannounced(common, {f"{folder}/a.txt": b"first"})
    compare(common, folder)
    put_unannounced(common, {f"{folder}/{twin}": b"second"})
    compare(common, folder)
    assert parkings(common, folder) == [f"{folder}/{twin}"]
    assert compare(common, folder) == {"same": 1, "parked": 1}
    assert compare(common, folder, "--verify") == {"same": 1, "parked": 1}
    assert len(parkings(common, folder)) == 1

    common.delete(f"{folder}/a.txt")
    common.settle()
    assert common.graph.content(f"{folder}/{twin}") == b"second"
    assert compare(common, folder) == {"same": 1}


def test_of_two_keys_of_one_place_one_adopts_the_file(common: Stage, folder: str) -> None:
    """Which has the file's bytes; the other is parked. Also where both have them."""
    twins = {"one": (b"in capitals", b"small", b"small"), "both": (b"same", b"same", b"same")}
    for name, (capital, small, file) in twins.items():
        put_unannounced(common, {f"{folder}/{name.upper()}": capital, f"{folder}/{name}": small})
        fill_library(common, {f"{folder}/{name}": file})

    assert sum(compare(common, folder).values()) == 4
    assert writes(common) == {}
    assert sorted(parkings(common, folder)) == [f"{folder}/ONE", f"{folder}/both"]
    assert compare(common, folder) == {"same": 2, "parked": 2}


def test_a_folder_in_a_files_place_is_tried_again_each_time(common: Stage, folder: str) -> None:
    """People may have taken it away meanwhile."""
    put_unannounced(common, {f"{folder}/place": b"ours"})
    common.graph.put_foreign(f"{folder}/place/theirs.txt", b"theirs")
    for _ in range(2):
        assert compare(common, folder) == {"new": 1, "foreign": 1}
    assert common.graph.content(f"{folder}/place/theirs.txt") == b"theirs"

    common.graph.rename_foreign(f"{folder}/place", f"{folder}/their folder")
    assert compare(common, folder) == {"new": 1, "foreign": 1}
    assert common.graph.content(f"{folder}/place") == b"ours"


def test_a_dry_run_changes_nothing_at_all(common: Stage, folder: str) -> None:
    """It says each difference on a line, and ends with 1 while there is any."""
    mirror(common, {f"{folder}/{name}.txt": b"content" for name in ("same", "edited", "missing", "stale", "gone")})
    common.graph.edit_foreign(f"{folder}/edited.txt", b"theirs")
    common.graph.delete_foreign(f"{folder}/missing.txt")
    common.graph.delete_foreign(f"{folder}/gone.txt")
    delete_unannounced(common, f"{folder}/stale.txt", f"{folder}/gone.txt")
    put_unannounced(common, {f"{folder}/{name}": b"content" for name in ("new.txt", "adopted.txt", NAME_TOO_LONG)})
    fill_library(common, {f"{folder}/adopted.txt": b"content", f"{folder}/foreign.txt": b"theirs"})
    before, tree = tables(common), common.graph.tree()

    options = ("--dry-run", "--delete", "--foreign", "--force", "--verify", "--prefix", f"lycee/{folder}/")
    said = Console(common).run("reconcile", *options)
    assert said.code == 1
    assert (tables(common), common.graph.tree()) == (before, tree)
    assert writes(common) == {}
    assert scratch(common) == []
    lines = {tuple(line.split()) for line in said.out.splitlines()}
    named = {"new": "new.txt", "refused": NAME_TOO_LONG, "foreign": "foreign.txt"}
    named |= {name: f"{name}.txt" for name in ("edited", "missing", "stale", "gone")}
    assert {(verdict, f"lycee/{folder}/{name}") for verdict, name in named.items()} <= lines
    assert "Nothing was changed: this was a dry run." in said.out


def test_a_dry_run_without_differences_ends_well(common: Stage, folder: str) -> None:
    mirror(common, {f"{folder}/a.txt": b"content"})
    assert compare(common, folder, "--dry-run") == {"same": 1}


def test_a_prefix_limits_everything(common: Stage, folder: str) -> None:
    """Uploads, adoptions and deletions; a prefix need not end at a slash."""
    put_unannounced(common, {f"{folder}/{name}/new.txt": b"new" for name in ("a", "ab", "b")})
    mirror(common, {f"{folder}/{name}/stale.txt": b"stale" for name in ("a", "ab", "b")})
    delete_unannounced(common, *(f"{folder}/{name}/stale.txt" for name in ("a", "ab", "b")))

    found = reconcile(common, "--prefix", f"lycee/{folder}/a", "--delete", "--force")
    assert found == {"new": 2, "stale": 2}
    left = {path.removeprefix(f"{folder}/") for path in common.graph.tree() if path.startswith(f"{folder}/")}
    assert {path for path in left if path.endswith("txt")} == {"a/new.txt", "ab/new.txt", "b/stale.txt"}


@pytest.mark.parametrize("prefix", ["lycee", "lycee/"])
def test_a_bucket_is_a_prefix_too(common: Stage, folder: str, prefix: str) -> None:
    key = f"{folder}/new.txt"
    put_unannounced(common, {key: b"new"})
    assert reconcile(common, "--prefix", prefix)["new"] >= 1
    assert common.graph.content(key) == b"new"


@pytest.mark.parametrize("prefix", ["lycee/nowhere/", "nowhere/a"])
def test_a_prefix_that_is_not_mirrored_is_said_to_be(common: Stage, prefix: str) -> None:
    said = Console(common).run("reconcile", "--prefix", prefix)
    assert said.code == 1
    assert "is mirrored: see ALLOWED_PREFIXES" in said.err


def test_the_beginning_of_a_routed_prefix_will_do(common: Stage, folder: str) -> None:
    put_unannounced(common, {f"{folder}/new.txt": b"new"})
    reconcile(common, "--prefix", "lycee/admin")
    assert common.graph.content(f"{folder}/new.txt") == b"new"


def test_two_buckets_in_folders_of_their_own(make_stage: MakeStage) -> None:
    """A file belongs to the bucket whose folder it is in; one bucket alone can be compared."""
    buckets = ("lycee", "college")
    settings = {"BUCKET_AS_FOLDER": "true", "ALLOWED_PREFIXES": "a/,b/=Folder B/"}
    stage = make_stage(settings=settings, minio=StandinOptions(buckets=buckets))
    stage.begin()
    for bucket in buckets:
        put_unannounced(stage, {f"a/{bucket}.txt": b"1", "a/both.txt": bucket.encode(), "b/b.txt": b"3"}, bucket=bucket)
    fill_library(stage, {"lycee/a/lycee.txt": b"1", "college/a/lycee.txt": b"1", "college/Folder B/b.txt": b"3"})

    assert reconcile(stage, "--prefix", "college/") == {"new": 2, "adopted": 1, "foreign": 1}
    assert "lycee/a/both.txt" not in stage.graph.tree()
    assert reconcile(stage) == {"same": 3, "new": 2, "adopted": 1, "foreign": 1}
    assert content_of(stage, ["lycee/a/both.txt", "college/a/both.txt"]) == {
        "lycee/a/both.txt": b"lycee",
        "college/a/both.txt": b"college",
    }
    delete_unannounced(stage, "b/b.txt", bucket="college")
    assert reconcile(stage, "--delete", "--force") == {"same": 5, "stale": 1, "foreign": 1}
    assert {"lycee/Folder B/b.txt", "college/a/lycee.txt"} <= set(stage.graph.tree())
    assert "college/Folder B/b.txt" not in stage.graph.tree()


def test_two_buckets_that_share_their_folders(make_stage: MakeStage) -> None:
    """Each file has one owner: what one bucket put there is no leftover of the other."""
    buckets = ("lycee", "college")
    stage = make_stage(settings={"ALLOWED_PREFIXES": "a/"}, minio=StandinOptions(buckets=buckets))
    stage.begin()
    for bucket in buckets:
        put_unannounced(stage, {f"a/{bucket}.txt": b"1", "a/both.txt": bucket.encode()}, bucket=bucket)

    assert reconcile(stage)["new"] == 4
    assert set(parkings(stage, "a/")) == {"a/both.txt"}
    assert reconcile(stage) == {"same": 3, "parked": 1}
    delete_unannounced(stage, "a/college.txt", bucket="college")
    assert reconcile(stage, "--delete", "--force") == {"same": 2, "parked": 1, "stale": 1}
    assert "a/college.txt" not in stage.graph.tree()
    assert "a/lycee.txt" in stage.graph.tree()


def test_nested_prefixes_and_all_keys(make_stage: MakeStage) -> None:
    """Each object is compared once, at the place that the longest prefix gives it; keys may end in a slash or be the prefix itself.

    A file where no key has its place is none of the mirror's business.
    """
    settings = {"ALLOWED_PREFIXES": "*,a/=Folder A/,a/b/=Elsewhere/B/"}
    stage = make_stage(settings=settings)
    stage.begin()
    objects = {"top.txt": b"1", "a/a.txt": b"2", "a/b/b.txt": b"3", "a/b/": b"", "a/c/": b"", "z: z/z.txt": b"4"}
    put_unannounced(stage, objects)
    fill_library(stage, {"Elsewhere/B/b.txt": b"3", "z： z/z.txt": b"4", "a/a.txt": b"2"})

    assert reconcile(stage) == {"new": 3, "adopted": 3}
    assert {"top.txt", "Folder A/a.txt", "Folder A/c", "Elsewhere/B/b.txt"} <= set(stage.graph.tree())
    assert reconcile(stage) == {"same": 6}
    assert reconcile(stage, "--prefix", "lycee/a/") == {"same": 4}


def test_files_at_the_old_place_of_a_route_go_when_they_are_written_at_the_new_one(make_stage: MakeStage) -> None:
    """The objects did not change; the settings did, and no event tells of that."""
    stage = make_stage(settings={"ALLOWED_PREFIXES": "a/"})
    stage.begin()
    mirror(stage, {"a/1.txt": b"1", "a/2.txt": b"2"})
    stage.service.stop()
    stage._settings = {"ALLOWED_PREFIXES": "a/=New/"}
    stage.service._settings |= stage._settings
    stage.begin()

    assert sum(reconcile(stage).values()) == 2
    assert content_of(stage, ["New/1.txt", "New/2.txt", "a/1.txt"]) == {
        "New/1.txt": b"1",
        "New/2.txt": b"2",
        "a/1.txt": None,
    }
    assert reconcile(stage) == {"same": 2}
