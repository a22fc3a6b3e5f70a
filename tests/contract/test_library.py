"""The document library: found by any of its names, written and emptied with the fewest calls."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from contract.service_graph import MODIFIED, ServiceGraph, content_of, reader_of

from sharepoint_proxy.errors import NameRefusedError, OccupiedError, OutageError, PermanentError, TransientError
from sharepoint_proxy.library import Library
from simulator.calls import CallKind
from simulator.faults import AnswerWith, CorruptBytes, Fault, FaultBody, Match, TruncateAnswer
from simulator.graph_server import GraphSimulator
from simulator.options import LibraryOptions, SimulatorOptions, SiteOptions

FRENCH = LibraryOptions("Documents partages", "Documents")
ARCHIVES = LibraryOptions("Archiv\u00e9s & Co", "Archives 2024")
SITE = SiteOptions("contoso.sharepoint.com:/sites/\u00e9quipe 1/sous", (FRENCH, ARCHIVES))


@pytest.fixture
def french(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceGraph]:
    """Clients of a site with blanks and accents in all its names, which lists one library a page."""
    with GraphSimulator(options=SimulatorOptions(sites=(SITE,), drives_page=1)) as simulator:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.ca_path))
        clients = ServiceGraph(simulator)
        yield clients
        clients.close()


def test_it_finds_the_default_library(french: ServiceGraph) -> None:
    drive = french.find_drive(None)
    assert (drive.name, drive.url_path) == ("Documents partages", "/sites/\u00e9quipe 1/sous/Documents")
    assert french.kinds() == [CallKind.SITE, CallKind.DRIVE]


@pytest.mark.parametrize("name", ["Archiv\u00e9s & Co", "ARCHIV\u00c9S & CO", "Archives 2024", "archives 2024"])
def test_it_finds_a_library_by_what_people_call_it_or_by_its_address(french: ServiceGraph, name: str) -> None:
    assert french.find_drive(name).name == ARCHIVES.name


def test_it_lists_the_libraries_that_are_there_when_the_one_asked_for_is_not(french: ServiceGraph) -> None:
    with pytest.raises(PermanentError) as caught:
        french.find_drive("Documents partages/administration")
    for name in (FRENCH.name, FRENCH.url_name, ARCHIVES.name, ARCHIVES.url_name):
        assert f'"{name}"' in str(caught.value)


def test_a_site_that_is_not_there_is_looked_for_again(service: ServiceGraph) -> None:
    """An answer of 404 may pass (microsoftgraph/msgraph-sdk-dotnet#760)."""
    service.simulator.add_fault(Fault(Match(CallKind.SITE), AnswerWith(404)))
    with pytest.raises(TransientError, match="404"):
        service.find_drive(None)


@pytest.mark.parametrize("kind", [CallKind.SITE, CallKind.DRIVE, CallKind.DRIVES])
def test_an_answer_without_a_site_or_library_is_tried_again(service: ServiceGraph, kind: CallKind) -> None:
    """A front end or a proxy on the way may answer 200 with a page of its own."""
    service.simulator.add_fault(Fault(Match(kind), AnswerWith(200, FaultBody.HTML)))
    with pytest.raises(TransientError):
        service.find_drive("Archives" if kind is CallKind.DRIVES else None)


def test_it_writes_a_file_with_its_folders_in_one_call(service: ServiceGraph) -> None:
    content = content_of(200_000)
    item = service.put("a/b/c/note.bin", content)

    assert service.kinds() == [CallKind.PUT_CONTENT]
    assert service.simulator.content("a/b/c/note.bin") == content
    assert (item.name, item.size, item.is_folder) == ("note.bin", len(content), False)
    assert item.quickxor == reader_of(content).quickxor()


def test_it_replaces_a_file_which_keeps_its_id(service: ServiceGraph) -> None:
    first, second = service.put("a.txt", b"one"), service.put("A.TXT", b"three")
    assert (second.id, second.size) == (first.id, 5)
    assert second.etag != first.etag
    assert service.statuses() == [201, 200]


def test_it_writes_an_empty_file(service: ServiceGraph) -> None:
    item = service.put("empty.txt", b"")
    assert (item.size, item.quickxor) == (0, None)
    assert service.simulator.content("empty.txt") == b""


@pytest.mark.parametrize(
    "name",
    [
        "a b.txt",
        "100%.txt",
        "%41.txt",
        "#1.txt",
        "a+b&c=d,e;f@g$h!.txt",
        "l'\u00e9t\u00e9 (1).txt",
        "\U0001f600.txt",
        "\uff1a\u201b.txt",
    ],
)
def test_every_character_of_a_name_arrives(service: ServiceGraph, name: str) -> None:
    path = f"{name}/{name}"
    service.put(path, b"x")
    found = service.library.find(path)

    assert service.simulator.tree() == {name: None, path: 1}
    assert found is not None
    assert found.name == name


def test_damage_on_the_way_shows_in_the_hash(service: ServiceGraph) -> None:
    content = content_of(1_000)
    service.simulator.add_fault(Fault(Match(CallKind.PUT_CONTENT), CorruptBytes()))
    item = service.put("a.bin", content)
    assert item.size == len(content)
    assert not reader_of(content).is_content_of(item)


@pytest.mark.parametrize(
    "action", [AnswerWith(201, FaultBody.HTML), AnswerWith(200, FaultBody.NULL), TruncateAnswer()], ids=str
)
def test_an_answer_without_a_drive_item_is_no_success(
    service: ServiceGraph, action: AnswerWith | TruncateAnswer
) -> None:
    service.simulator.add_fault(Fault(Match(CallKind.PUT_CONTENT), action))
    with pytest.raises(TransientError):
        service.put("a.txt", b"x")


def test_it_shows_the_date_of_the_object(service: ServiceGraph) -> None:
    item = service.put("a.txt", b"x")
    service.library.set_modified(item.id, MODIFIED.astimezone(timezone(timedelta(hours=5))))
    stored = service.simulator.item("a.txt")
    assert stored is not None
    assert datetime.fromtimestamp(stored.modified, UTC) == MODIFIED


def test_it_finds_files_and_folders_by_path_and_by_id(service: ServiceGraph) -> None:
    file = service.put("a/b.txt", b"x")
    folder = service.library.find("a")

    assert service.library.find("a/b.txt") == service.library.get(file.id) == file
    assert folder is not None
    assert (folder.is_folder, folder.child_count) == (True, 1)
    assert service.library.find("a/none.txt") is None
    assert service.library.get("unknown") is None


def test_a_moved_file_is_still_found_by_its_id(service: ServiceGraph) -> None:
    item = service.put("a.txt", b"x")
    service.simulator.rename_foreign("a.txt", "b/c.txt")
    found = service.library.get(item.id)
    assert found is not None
    assert found.name == "c.txt"


def test_it_deletes_into_the_recycle_bin(service: ServiceGraph) -> None:
    item = service.put("a.txt", b"x")
    assert service.library.delete(item.id) is True
    assert service.simulator.recycle_bin() == ["a.txt"]


def test_it_says_that_there_was_nothing_to_delete(service: ServiceGraph) -> None:
    item = service.put("a.txt", b"x")
    service.simulator.delete_foreign("a.txt")
    assert service.library.delete(item.id) is False
    assert service.statuses(CallKind.DELETE) == [404]


def test_it_deletes_only_what_is_unchanged_when_asked_to(service: ServiceGraph) -> None:
    item = service.put("a.txt", b"x")
    service.simulator.edit_foreign("a.txt", b"somebody's")
    with pytest.raises(TransientError) as caught:
        service.library.delete(item.id, etag=item.etag)

    changed = service.library.get(item.id)
    assert caught.value.status == 412
    assert changed is not None
    assert service.library.delete(item.id, etag=changed.etag) is True


def test_it_makes_a_folder_level_by_level(service: ServiceGraph) -> None:
    """One call where the parent is there; else upwards until one is, and down again."""
    service.library.make_folder("a")
    service.simulator.clear_calls()
    folder, made = service.library.make_folder("a/b/c")

    assert (folder.name, folder.is_folder, made) == ("c", True, True)
    assert service.statuses() == [404, 201, 201]
    assert service.simulator.tree() == {"a": None, "a/b": None, "a/b/c": None}


def test_it_takes_a_folder_that_is_there(service: ServiceGraph) -> None:
    there = service.simulator.make_folder_foreign("a/B")
    folder, made = service.library.make_folder("a/b")
    assert (folder.id, made) == (there.id, False)
    assert service.kinds() == [CallKind.FOLDER_CREATE, CallKind.ITEM_GET]


def test_it_makes_no_folder_over_a_file(service: ServiceGraph) -> None:
    service.put("a", b"x")
    with pytest.raises(PermanentError, match="A file stands"):
        service.library.make_folder("a")
    assert service.simulator.tree() == {"a": 1}


def test_threads_that_make_the_same_folders_do_not_disturb_each_other(service: ServiceGraph) -> None:
    """Making folders at once ends in 409 for all but one (pnp/pnpcore#1765)."""
    service.simulator.latency = 0.02
    together = threading.Barrier(8)

    def make(_: int) -> tuple[str, bool]:
        together.wait()
        folder, made = service.library.make_folder("a/b/c")
        return folder.id, made

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(make, range(8)))
    assert len({item_id for item_id, _ in found}) == 1
    assert sum(made for _, made in found) == 1
    assert service.simulator.tree() == {"a": None, "a/b": None, "a/b/c": None}


def test_it_opens_a_session_whose_file_will_show_the_date_of_the_object(service: ServiceGraph) -> None:
    url = service.library.create_session("big.bin", MODIFIED)
    content = content_of(10)
    service.simulator.clear_calls()
    service.send("big.bin", content, session_url=url)
    stored = service.simulator.item("big.bin")
    assert stored is not None
    assert datetime.fromtimestamp(stored.modified, UTC) == MODIFIED


def test_it_makes_the_folders_that_a_session_needs(service: ServiceGraph) -> None:
    service.library.create_session("a/b/big.bin", MODIFIED)
    assert service.statuses(CallKind.SESSION_CREATE) == [404, 200]
    assert service.simulator.tree() == {"a": None, "a/b": None}


def test_it_asks_for_no_folders_where_the_service_makes_them(service: ServiceGraph) -> None:
    service.simulator.change(session_makes_parents=True)
    service.library.create_session("a/b/big.bin", MODIFIED)
    assert service.kinds() == [CallKind.SESSION_CREATE]


def test_a_second_session_for_a_file_has_to_wait(service: ServiceGraph) -> None:
    service.library.create_session("big.bin", MODIFIED)
    with pytest.raises(TransientError) as caught:
        service.library.create_session("big.bin", MODIFIED)
    assert caught.value.status == 409


def test_an_answer_without_an_upload_url_is_tried_again(service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(Match(CallKind.SESSION_CREATE), AnswerWith(200, FaultBody.HTML)))
    with pytest.raises(TransientError):
        service.library.create_session("big.bin", MODIFIED)


def longest_accepted(service: ServiceGraph, path: str) -> int:
    """How many characters of PATH are not too long."""
    for length in range(len(path), 0, -1):
        with contextlib.suppress(NameRefusedError):
            service.library.refuse_if_too_long(path[:length])
            return length
    return 0


@pytest.mark.parametrize("name", ["x" * 200, "\U0001f600" * 100], ids=["letters", "emoji"])
def test_it_refuses_a_path_before_sharepoint_would(service: ServiceGraph, name: str) -> None:
    """400 characters from the server's root on; one beyond the basic plane counts twice."""
    path = "/".join(["f" * 100, "g" * 100, "h" * 50, name])
    length = longest_accepted(service, path)

    assert service.put(path[:length], b"x")
    with pytest.raises(NameRefusedError, match="400 are allowed"):
        service.library.refuse_if_too_long(path[: length + 1])
    with pytest.raises(PermanentError):
        service.put(path[: length + 2], b"x")


def test_it_counts_the_names_of_site_and_library(service: ServiceGraph) -> None:
    longer = Library(service.graph, replace(service.drive, url_path=f"{service.drive.url_path}{'x' * 100}"))
    path = "y" * 300
    service.library.refuse_if_too_long(path)
    with pytest.raises(NameRefusedError):
        longer.refuse_if_too_long(path)


def test_a_conflict_that_passes_is_tried_again(service: ServiceGraph) -> None:
    """SharePoint is at work on the file itself, or another upload of it is under way."""
    service.simulator.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(409, code="resourceModified")))
    with pytest.raises(TransientError, match=r"busy with a\.txt"):
        service.put("a.txt", b"x")
    service.put("a.txt", b"x")


def test_a_folder_in_the_place_of_a_file_is_left_alone(service: ServiceGraph) -> None:
    service.simulator.make_folder_foreign("a.txt")
    with pytest.raises(OccupiedError, match=r"folder stands in SharePoint where the file a\.txt"):
        service.put("a.txt", b"x")
    with pytest.raises(OccupiedError):
        service.library.create_session("a.txt", MODIFIED)


def test_it_tells_one_barred_file_from_a_closed_library(service: ServiceGraph) -> None:
    service.library.check()
    service.simulator.add_fault(Fault(Match(CallKind.ITEM_GET), AnswerWith(403)))
    with pytest.raises(OutageError, match="The library Documents is closed"):
        service.library.check()
