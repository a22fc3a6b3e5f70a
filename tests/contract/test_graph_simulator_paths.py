"""The simulator resolves sites, libraries and paths as Graph does, and answers mistakes in them as Graph does."""

import http.client
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from contract.plain_graph import PlainGraph, code, inner_code

from simulator.graph_server import GraphSimulator
from simulator.options import LibraryOptions, SimulatorOptions, SiteOptions

HOST = "contoso.sharepoint.com"


@pytest.fixture
def wide() -> Iterator[PlainGraph]:
    """Two sites, the first with three libraries, listed two a page."""
    libraries = tuple(LibraryOptions(f"Library {number}", f"Lib{number}") for number in range(3))
    sites = (SiteOptions(f"{HOST}:/sites/wide", libraries), SiteOptions(f"{HOST}:/sites/other"))
    options = SimulatorOptions(sites=sites, drives_page=2)
    with GraphSimulator(options=options) as simulator, PlainGraph(simulator) as client:
        yield client


def site_answer(client: PlainGraph, address: str) -> requests.Response:
    return client.send("GET", f"{client.simulator.base_url}/sites/{address}")


def test_a_site_is_found_by_its_path_in_any_case(client: PlainGraph) -> None:
    by_path = site_answer(client, f"{HOST}:/Sites/TEAM")

    assert by_path.status_code == 200
    assert by_path.json()["id"].startswith(f"{HOST},")
    assert client.send("GET", client.site).json() == by_path.json()


def test_a_library_is_found_through_either_address_of_its_site(client: PlainGraph) -> None:
    by_id = client.send("GET", f"{client.site}/drive").json()
    by_path = site_answer(client, f"{HOST}:/sites/team:/drive").json()

    assert by_id == by_path
    assert (by_id["name"], by_id["driveType"]) == ("Documents", "documentLibrary")
    assert by_id["webUrl"].endswith("/sites/team/Shared%20Documents")
    assert client.send("GET", client.drive).json() == by_id


@pytest.mark.parametrize(
    ("address", "status", "error"),
    [
        ("fabrikam.sharepoint.com:/sites/team", 400, "invalidRequest"),
        (f"{HOST}:/sites/missing", 404, "itemNotFound"),
        (f"{HOST}:/sites/team/drive", 404, "itemNotFound"),
        (f"{HOST}:/sites/team:/drive/root", 400, "BadRequest"),
        (f"{HOST}:/sites/team:/drives:/Documents", 400, "BadRequest"),
        (f"{HOST},x,y", 404, "itemNotFound"),
    ],
)
def test_mistakes_in_a_site_are_refused(client: PlainGraph, address: str, status: int, error: str) -> None:
    answer = site_answer(client, address)

    assert (answer.status_code, code(answer)) == (status, error)


def test_libraries_are_listed_in_pages(wide: PlainGraph) -> None:
    first = wide.send("GET", f"{wide.site}/drives").json()
    second = wide.send("GET", first["@odata.nextLink"]).json()

    assert [drive["name"] for drive in first["value"]] == ["Library 0", "Library 1"]
    assert [drive["name"] for drive in second["value"]] == ["Library 2"]
    assert "@odata.nextLink" not in second


def test_sites_keep_their_files_apart(wide: PlainGraph) -> None:
    wide.put("a.txt")

    assert wide.simulator.tree("Library 0") == {"a.txt": 5}
    assert wide.simulator.tree("Documents", site=f"{HOST}:/sites/other") == {}


@pytest.mark.parametrize(("drive", "status"), [("b!unknown", 404), ("nonsense", 400), ("B!" + "A" * 64, 400)])
def test_an_unknown_drive_is_refused(client: PlainGraph, drive: str, status: int) -> None:
    assert client.send("GET", f"{client.simulator.base_url}/drives/{drive}/root").status_code == status


def test_the_default_drive_of_a_user_is_not_for_applications(client: PlainGraph) -> None:
    answer = client.send("GET", f"{client.simulator.base_url}/me/drive")

    assert (answer.status_code, code(answer)) == (400, "invalidRequest")


def test_an_item_has_four_addresses(client: PlainGraph) -> None:
    folder = client.put("a/b.txt").json()["parentReference"]["id"]
    item = client.get("a/b.txt").json()["id"]

    routes = ["root:/a/b.txt", "root:/a/b.txt:", f"items/{item}", f"items/{folder}:/b.txt:", f"items/{folder}:/b.txt"]

    assert [client.ask("GET", route).json()["id"] for route in routes] == [item] * 5


def test_sharepoints_own_prefix_serves_the_same(client: PlainGraph) -> None:
    client.put("a.txt")
    url = client.drive.replace("/v1.0/", "/_api/v2.0/")

    assert client.send("GET", f"{url}/root:/a.txt").json()["name"] == "a.txt"


@pytest.mark.parametrize("name", ["50 % + #1 & (a) 'x' = @ $ , ; ! ~.txt", "été 日本 😀.txt", "%2541.txt"])
def test_odd_but_legal_names_survive(client: PlainGraph, name: str) -> None:
    assert client.put(name).status_code == 201
    assert client.simulator.tree() == {name: 5}
    assert client.get(name).json()["name"] == name


@pytest.mark.parametrize(
    ("method", "route", "status", "error"),
    [
        ("PUT", "root:/a.txt/content", 400, "BadRequest"),
        ("GET", "root:a.txt:", 400, "BadRequest"),
        ("GET", "root:/a.txt:content", 400, "BadRequest"),
        ("GET", "root:/a.txt:/nonsense", 400, "BadRequest"),
        ("GET", "root:/a%2Fb.txt", 400, "invalidRequest"),
        ("PUT", "root:/a%2Fb.txt:/content", 400, "invalidRequest"),
        ("PUT", "root:/a//b.txt:/content", 400, "invalidRequest"),
        ("PUT", "root:/a%FF.txt:/content", 400, "BadRequest"),
        ("GET", "items", 400, "invalidRequest"),
        ("GET", "items/01NOSUCHITEM", 404, "itemNotFound"),
        ("GET", "stem", 400, "BadRequest"),
        ("POST", "root", 405, "BadRequest"),
    ],
)
def test_mistakes_in_a_path_are_refused(client: PlainGraph, method: str, route: str, status: int, error: str) -> None:
    answer = client.ask(method, route, data=b"hello" if method == "PUT" else None)

    assert (answer.status_code, code(answer)) == (status, error)
    assert client.simulator.tree() == {}


def test_a_put_without_the_colon_gets_the_well_known_text(client: PlainGraph) -> None:
    answer = client.ask("PUT", "root:/a.txt/content", data=b"hello")

    assert answer.json()["error"]["message"] == "Entity only allows writes with a JSON Content-Type header."


def test_an_encoded_slash_is_part_of_a_name_that_does_not_exist(client: PlainGraph) -> None:
    client.put("a/b.txt")

    assert "Name specified in the path doesn't match" in client.ask("GET", "root:/a%2Fb.txt").text


def test_a_raw_hash_is_refused(client: PlainGraph) -> None:
    """Clients cut it off; sent all the same, it is no path."""
    url = urlsplit(client.drive)
    context = ssl.create_default_context(cafile=client.simulator.ca_path)
    connection = http.client.HTTPSConnection(url.netloc, context=context, timeout=10)
    connection.request("GET", f"{url.path}/root:/a#b.txt", headers=client.bearer)

    assert connection.getresponse().status == 400
    connection.close()


def test_ids_are_case_sensitive_and_names_are_not(client: PlainGraph) -> None:
    item = client.put("Été/Report.TXT").json()

    assert client.get("été/report.txt").json()["name"] == "Report.TXT"
    assert client.ask("GET", f"items/{item['id'].lower()}").status_code == 404


def test_normal_forms_of_unicode_are_different_names(client: PlainGraph) -> None:
    composed, decomposed = "\u00e9.txt", "e\u0301.txt"

    assert [client.put(name).status_code for name in (composed, decomposed)] == [201, 201]
    assert set(client.simulator.tree()) == {composed, decomposed}


@pytest.mark.parametrize(
    "name",
    [
        'a"b',
        "a*b",
        "a:b",
        "a<b",
        "a>b",
        "a?b",
        "a\\b",
        "a|b",
        "a\tb",
        " a",
        "a ",
        "\u3000a",
        "a.",
        "CON",
        "con.txt",
        "LPT0.tar.gz",
        "COM9",
        ".lock",
        "desktop.ini",
        "Desktop.INI",
        "~$a.docx",
        "x_vti_y",
        "Forms",
        "a" * 256,
        "😀" * 128,
    ],
)
def test_names_that_sharepoint_reserves_are_refused(client: PlainGraph, name: str) -> None:
    answer = client.put(name)

    assert (answer.status_code, code(answer)) == (400, "invalidRequest")
    assert client.simulator.tree() == {}


@pytest.mark.parametrize("name", ["a b", ".hidden", "CONTENT", "COM10", "con-1", "~a.txt", "a" * 255, "😀" * 127])
def test_names_that_look_reserved_are_accepted(client: PlainGraph, name: str) -> None:
    assert client.put(name).status_code == 201


def test_forms_is_reserved_at_the_root_only(client: PlainGraph) -> None:
    assert client.put("a/forms").status_code == 201


def test_a_folder_must_not_start_with_a_tilde(client: PlainGraph) -> None:
    assert client.put("~a/b.txt").status_code == 400


def test_a_path_holds_400_characters_with_site_and_library(client: PlainGraph) -> None:
    """`sites/team/Shared Documents/` are 28 of them."""
    folder = "f" * 200
    longest = f"{folder}/{'n' * (400 - 28 - 201)}"

    assert client.put(longest).status_code == 201
    refused = client.put(f"{longest}n")
    assert (refused.status_code, inner_code(refused)) == (400, "pathIsTooLong")
    assert client.open_session(f"{longest}n").status_code == 400


def test_a_folder_cannot_be_renamed_beyond_what_its_files_can_bear(client: PlainGraph) -> None:
    folder = client.put(f"a/{'n' * 250}").json()["parentReference"]["id"]

    refused = client.ask("PATCH", f"items/{folder}", json={"name": "f" * 122})
    assert (refused.status_code, inner_code(refused)) == (400, "pathIsTooLong")
    assert client.ask("PATCH", f"items/{folder}", json={"name": "f" * 121}).status_code == 200


def test_an_error_carries_what_support_asks_for(client: PlainGraph) -> None:
    answer = client.get("missing.txt", headers={"client-request-id": "from-the-client"})
    inner = answer.json()["error"]["innerError"]

    assert inner["request-id"] == answer.headers["request-id"]
    assert inner["client-request-id"] == answer.headers["client-request-id"] == "from-the-client"
    assert "date" in inner
    assert "x-ms-ags-diagnostic" in answer.headers
