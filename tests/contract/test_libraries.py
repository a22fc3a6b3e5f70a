"""Several libraries of two sites, used as one: each call goes to the library that its path or id names, and one that is closed stops no other."""

from collections.abc import Iterator
from functools import partial

import pytest
from contract.service_graph import MODIFIED, ServiceGraph, content_of, reader_of
from unit.fakes import memory_folder

from sharepoint_proxy import paths
from sharepoint_proxy.content import Stretch
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import (
    AccessError,
    NameRefusedError,
    OutageError,
    PermanentError,
    Subject,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.files import Files
from sharepoint_proxy.fragments import Fragments
from sharepoint_proxy.gathering import Gathering
from sharepoint_proxy.halt import Halt
from sharepoint_proxy.inventory import SCHEMA, Inventory
from sharepoint_proxy.libraries import Libraries, LibraryFiles, Shelf
from sharepoint_proxy.library import Library, find_drive
from sharepoint_proxy.paths import Route, Routing
from sharepoint_proxy.patience import Patience
from sharepoint_proxy.reconcile_parts import Unwatched
from sharepoint_proxy.records import DriveItem, StoredObject
from sharepoint_proxy.sessions import Sessions
from sharepoint_proxy.walk import Walk
from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.graph_server import GraphSimulator
from simulator.options import ColumnType, LibraryOptions, SimulatorOptions, SiteOptions

TEAM = "contoso.sharepoint.com:/sites/team"
COMPTA = "contoso.sharepoint.com:/sites/compta"
FACTURES = LibraryOptions("Factures", "Factures")
DOCUMENTS = LibraryOptions("Documents", "Shared Documents")
SITES = (SiteOptions(TEAM), SiteOptions(COMPTA, (DOCUMENTS, FACTURES)))
# Alias, site, library.
PLACES = (("", TEAM, None), ("archives", TEAM, "Archives"), ("compta", COMPTA, "Factures"))


class NoObjects:
    """A MinIO that nobody asks."""

    def listed(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        raise AssertionError((bucket, prefix, after))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceGraph]:
    """Clients of a tenant with two sites, whose feed lists two items a page."""
    with GraphSimulator(options=SimulatorOptions(sites=SITES, delta_page=2)) as simulator:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.ca_path))
        clients = ServiceGraph(simulator)
        yield clients
        clients.close()


def library_of(service: ServiceGraph, site: str, name: str | None) -> Library:
    """One of the tenant's libraries."""
    host, _, path = site.partition(":")
    drive = find_drive(service.graph, site_host=host, site_relative_path=path, library=name)
    return Library(service.graph, drive)


def libraries_of(service: ServiceGraph, *places: tuple[str, str, str | None], connected: bool = True) -> Libraries:
    """These libraries as one, or the usual three."""
    shelves = [
        Shelf(
            alias=alias,
            name=f"{name or 'the default library'} of {site}",
            find=partial(library_of, service, site, name),
        )
        for alias, site, name in places or PLACES
    ]
    made = Libraries(shelves)
    if connected:
        made.connect()
        service.simulator.clear_calls()
    return made


@pytest.fixture
def libraries(service: ServiceGraph) -> Libraries:
    """Three libraries, found."""
    return libraries_of(service)


def put(libraries: Libraries, path: str, content: bytes = b"x") -> DriveItem:
    """Write CONTENT in one call."""
    with reader_of(content) as reader:
        return libraries.put(path, Stretch(reader, 0, len(content)))


def close_compta(service: ServiceGraph) -> None:
    """Take the right to that site away."""
    service.simulator.change(granted_sites=(TEAM,))


def open_compta(service: ServiceGraph) -> None:
    """Give it back."""
    service.simulator.change(granted_sites=None)


def test_a_file_is_written_read_and_removed_in_the_library_that_its_path_names(
    service: ServiceGraph, libraries: Libraries
) -> None:
    items = [put(libraries, path, path.encode()) for path in ("a/x.txt", "archives:/a/x.txt", "compta:/x.txt")]
    simulator = service.simulator

    assert [item.id.count(":") for item in items] == [0, 1, 1]
    assert simulator.content("a/x.txt") == b"a/x.txt"
    assert simulator.content("a/x.txt", "Archives") == b"archives:/a/x.txt"
    assert simulator.content("x.txt", "Factures", site=COMPTA) == b"compta:/x.txt"
    assert service.kinds() == [CallKind.PUT_CONTENT] * 3
    for item, path in zip(items, ("a/x.txt", "archives:/a/x.txt", "compta:/x.txt"), strict=True):
        assert libraries.find(path) == libraries.get(item.id) == item
        libraries.set_modified(item.id, MODIFIED)
        assert libraries.delete(item.id)
        assert not libraries.delete(item.id)
        assert libraries.find(path) is None
        assert libraries.get(item.id) is None
    assert simulator.recycle_bin("Factures", site=COMPTA) == ["x.txt"]


def test_the_main_library_alone_gives_paths_and_ids_as_they_are(service: ServiceGraph) -> None:
    alone = libraries_of(service, PLACES[0])

    assert put(alone, "a/x.txt") == service.library.find("a/x.txt")
    assert not alone.are_several


def test_a_large_file_and_folders_go_there_too(service: ServiceGraph, libraries: Libraries) -> None:
    sessions = Sessions(service.graph, libraries, fragments=partial(Fragments, 320 * 1024), is_stopping=lambda: False)
    content = content_of(700_000)
    with reader_of(content) as reader:
        sessions.send("compta:/new/big.bin", reader, modified=MODIFIED, session_url=None, keep=service.kept.append)
    folder, made = libraries.make_folder("compta:/made")

    assert service.simulator.content("new/big.bin", "Factures", site=COMPTA) == content
    assert (folder.id.startswith("compta:"), made) == (True, True)
    assert libraries.find("compta:/made") == libraries.get(folder.id)


def test_an_item_is_moved_within_its_library_and_not_out_of_it(service: ServiceGraph, libraries: Libraries) -> None:
    item = put(libraries, "compta:/x.txt")
    service.simulator.clear_calls()

    assert libraries.move(item.id, "archives:/x.txt", MODIFIED) is None
    assert libraries.move(item.id, "x.txt", MODIFIED) is None
    assert service.kinds() == []
    moved = libraries.move(item.id, "compta:/b/y.txt", MODIFIED)
    assert moved is not None
    assert (moved.id, moved.name) == (item.id, "y.txt")


def test_columns_are_those_of_the_library(service: ServiceGraph, libraries: Libraries) -> None:
    service.simulator.change(columns={"Auteur": ColumnType.TEXT})
    item = put(libraries, "compta:/x.txt")
    libraries.set_fields(item.id, {"Auteur": "Ada"})

    assert [column.name for column in libraries.columns("compta:/x.txt")] == ["Auteur"]
    assert service.kinds()[-2:] == [CallKind.FIELDS, CallKind.COLUMNS]


def test_the_length_of_a_path_is_that_in_its_own_library(libraries: Libraries) -> None:
    """The alias is no part of it."""
    room = 400 - len("/sites/compta/Factures/")
    libraries.refuse_if_too_long("compta:/" + "x" * room)
    with pytest.raises(NameRefusedError):
        libraries.refuse_if_too_long("compta:/" + "x" * (room + 1))
    libraries.refuse_if_too_long("x" * (400 - len("/sites/team/Shared Documents/")))


def test_what_is_in_a_library_that_no_route_names_any_more_is_as_if_it_were_not_there(
    service: ServiceGraph, libraries: Libraries
) -> None:
    assert libraries.find("old:/x.txt") is None
    assert libraries.get("old:01ABC") is None
    assert not libraries.delete("old:01ABC")
    assert libraries.move("old:01ABC", "x.txt", MODIFIED) is None
    with pytest.raises(PermanentError, match="No route leads to the library old any more"):
        put(libraries, "old:/x.txt")
    assert service.kinds() == []


def test_the_feed_lists_one_library_after_the_other_and_the_inventory_gives_paths(
    service: ServiceGraph, libraries: Libraries
) -> None:
    wanted = ["a/1.txt", "a/b/2.txt", "archives:/a/1.txt", "archives:/3.txt", "compta:/a/1.txt", "compta:/c/d/4.txt"]
    ids = {path: put(libraries, path).id for path in wanted}
    with memory_folder() as folder:
        database = Database(folder / "inventory.db", schema=SCHEMA)
        found = Inventory(database, place_of=paths.comparison_key)
        gathering = Gathering(
            is_routed=lambda _bucket, _key: True,
            source=NoObjects(),
            library=libraries,
            inventory=found,
            halt=Halt(lambda _: False),
        )
        gathering.library(Unwatched())
        placed = found.take([*wanted, "archives:/a", "a"])
        unseen = list(found.unseen_files())
        database.close()

    assert {path: placed[path].item.id for path in wanted} == ids
    assert {path: each.path for path, each in placed.items()} == {path: path for path in placed}
    assert len(placed) == len(wanted) + 2
    assert unseen == []
    assert service.kinds().count(CallKind.DELTA) > 6


def test_a_feed_of_which_one_library_lacks_its_root_is_refused(libraries: Libraries) -> None:
    """Everything in it would seem to be missing."""
    put(libraries, "compta:/x.txt")
    page, _ = libraries.listed("compta:")
    with memory_folder() as folder:
        database = Database(folder / "inventory.db", schema=SCHEMA)
        found = Inventory(database, place_of=paths.comparison_key)
        found.add(libraries.listed(None)[0])
        found.add([each for each in page if not each.is_root])
        with pytest.raises(TransientError, match="lacks its root"):
            found.complete()
        found.add(page)
        found.complete()
        database.close()


def test_a_restore_walks_through_all_libraries(service: ServiceGraph, libraries: Libraries) -> None:
    for path in ("a/1.txt", "compta:/a/2.txt", "compta:/3.txt", "archives:/4.txt"):
        put(libraries, path, path.encode())
    files = LibraryFiles(libraries, partial(Files, service.graph))
    routing = Routing((Route("lycee", "", ""), Route("lycee", "compta/", "compta:"), Route("other", "", "archives:")))
    walk = Walk(routing=routing, files=files, patience=Patience(tries=1, delay=lambda _: 0.0))

    found = {placed.path: placed for placed, _ in walk.items("lycee", "") if not placed.item.is_folder}
    assert set(found) == {"a/1.txt", "compta:/a/2.txt", "compta:/3.txt"}
    for path, placed in found.items():
        with files.open(placed.item.id) as pieces:
            assert b"".join(pieces) == path.encode()
    assert {placed.path for placed, _ in walk.items("lycee", "compta/a")} == {"compta:/a", "compta:/a/2.txt"}


def test_a_closed_library_is_told_and_refused_without_a_call_until_it_opens_again(
    service: ServiceGraph, libraries: Libraries
) -> None:
    put(libraries, "compta:/x.txt")
    close_compta(service)
    with pytest.raises(OutageError) as first:
        put(libraries, "compta:/y.txt")
    service.simulator.clear_calls()
    with pytest.raises(OutageError) as second:
        libraries.find("compta:/x.txt")

    assert (first.value.subject, first.value.library, first.value.status) == (Subject.LIBRARY, "compta", 403)
    assert str(second.value) == str(first.value)
    assert str(first.value).startswith(f"The objects for Factures of {COMPTA} wait. The library Factures is closed")
    assert (first.value.retry_after or 0) >= 1800
    assert service.kinds() == []
    put(libraries, "archives:/x.txt")
    put(libraries, "x.txt")

    assert libraries.reopened() == []
    open_compta(service)
    assert libraries.reopened() == [("compta", str(first.value))]
    assert libraries.reopened() == []
    assert not libraries.any_closed
    put(libraries, "compta:/y.txt")


def test_a_file_that_is_barred_closes_no_library(service: ServiceGraph, libraries: Libraries) -> None:
    service.simulator.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(403)))
    with pytest.raises(AccessError):
        put(libraries, "compta:/x.txt")
    assert not libraries.any_closed
    put(libraries, "compta:/x.txt")


def test_a_single_library_that_is_closed_is_everybodys_outage(service: ServiceGraph) -> None:
    """The mirror asks for it; nothing is put aside."""
    alone = libraries_of(service, PLACES[2])
    close_compta(service)
    with pytest.raises(AccessError):
        put(alone, "compta:/x.txt")
    with pytest.raises(OutageError) as caught:
        alone.check("compta:/x.txt")

    assert (caught.value.subject, caught.value.retry_after) == (Subject.LIBRARY, None)
    open_compta(service)
    put(alone, "compta:/x.txt")


def test_libraries_that_are_closed_at_the_start_are_told(service: ServiceGraph) -> None:
    close_compta(service)
    libraries = libraries_of(service, *PLACES, ("plans", TEAM, "Plans"), connected=False)
    troubles = libraries.connect()

    assert [trouble.library for trouble in troubles] == ["compta", "plans"]
    assert 'The site has no library "Plans"' in str(troubles[1])
    assert set(libraries.drives()) == {"", "archives"}
    put(libraries, "archives:/x.txt")
    open_compta(service)
    assert [alias for alias, _ in libraries.reopened()] == ["compta"]
    put(libraries, "compta:/x.txt")


def test_a_library_that_could_not_be_asked_at_the_start_is_found_when_it_is_needed(service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(Match(CallKind.SITE, path="compta"), AnswerWith(500)))
    libraries = libraries_of(service, *PLACES, connected=False)

    assert libraries.connect() == []
    assert set(libraries.drives()) == {"", "archives"}
    put(libraries, "compta:/x.txt")


def test_no_library_at_all_is_an_error(service: ServiceGraph) -> None:
    service.simulator.change(granted_sites=())
    libraries = libraries_of(service, connected=False)
    with pytest.raises(OutageError, match=f"The objects for the default library of {TEAM} wait"):
        libraries.connect()


def test_one_library_under_two_names_is_refused(service: ServiceGraph) -> None:
    """Two objects might be given one place without anybody's seeing it."""
    libraries = libraries_of(service, ("", TEAM, None), ("twin", TEAM, "Shared Documents"), connected=False)
    (trouble,) = libraries.connect()

    assert trouble.library == "twin"
    assert f"It is the same as the default library of {TEAM}: name site and library in all routes alike" in str(trouble)
    assert libraries.reopened() == []


def test_a_check_is_of_the_library_that_the_path_is_in(service: ServiceGraph, libraries: Libraries) -> None:
    close_compta(service)
    libraries.check("archives:/x.txt")
    libraries.check("")
    assert not libraries.any_closed
    with pytest.raises(OutageError) as caught:
        libraries.check("compta:/x.txt")
    assert (caught.value.subject, caught.value.library) == (Subject.LIBRARY, "compta")
    service.simulator.clear_calls()
    some, closed = libraries.open_ones()

    assert closed == {"compta": str(caught.value)}
    assert some.find("compta:/x.txt") is None


def test_a_library_for_which_graph_alone_does_not_answer_is_closed(service: ServiceGraph, libraries: Libraries) -> None:
    service.simulator.add_fault(Fault(Match(CallKind.ITEM_GET), AnswerWith(504)))
    with pytest.raises(OutageError) as caught:
        libraries.check("compta:/x.txt")

    assert (caught.value.subject, caught.value.library) == (Subject.LIBRARY, "compta")
    assert "Graph does not answer for the library Factures either" in str(caught.value)
    assert libraries.reopened() == [("compta", str(caught.value))]


def test_a_silence_is_everybodys_outage_when_graph_answers_for_no_library(
    service: ServiceGraph, libraries: Libraries
) -> None:
    service.simulator.add_fault(Fault(Match(CallKind.ITEM_GET), AnswerWith(504), times=3))
    with pytest.raises(OutageError) as caught:
        libraries.check("compta:/x.txt")

    assert (caught.value.subject, caught.value.library) == (Subject.GRAPH, "")
    assert not libraries.any_closed


def test_a_pause_that_graph_asks_for_closes_nothing(service: ServiceGraph, libraries: Libraries) -> None:
    service.simulator.add_fault(Fault(Match(CallKind.ITEM_GET), AnswerWith(429, headers={"Retry-After": "0"})))
    with pytest.raises(ThrottledError):
        libraries.check("x.txt")
    assert not libraries.any_closed


def test_only_the_open_libraries_are_compared(service: ServiceGraph, libraries: Libraries) -> None:
    close_compta(service)
    put(libraries, "archives:/x.txt")
    some, closed = libraries.open_ones()
    listed, link = some.listed()
    while link is not None:
        page, link = some.listed(link)
        listed += page

    assert {each.item.name for each in listed} == {"root", "archives:", "x.txt"}
    assert closed["compta"].startswith("The objects for Factures of")


def test_there_is_nothing_to_compare_when_all_are_closed(service: ServiceGraph, libraries: Libraries) -> None:
    service.simulator.change(granted_sites=())
    with pytest.raises(OutageError):
        libraries.open_ones()
