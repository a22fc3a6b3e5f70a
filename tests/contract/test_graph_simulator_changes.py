"""The simulated library tells what changed, page by page, as delta does on SharePoint."""

from typing import Any

from contract.plain_graph import PlainGraph, code


def drain_delta(client: PlainGraph, link: str) -> tuple[list[dict[str, Any]], str]:
    seen: list[dict[str, Any]] = []
    while True:
        page = client.send("GET", link).json()
        seen += page["value"]
        if "@odata.deltaLink" in page:
            return seen, page["@odata.deltaLink"]
        link = page["@odata.nextLink"]


def test_changes_are_listed_in_pages_up_to_a_link_for_the_next_time(client: PlainGraph) -> None:
    client.simulator.change(delta_page=2)
    for name in ("a.txt", "b.txt", "c/d.txt"):
        client.put(name)

    seen, link = drain_delta(client, f"{client.drive}/root/delta")
    assert {item["name"] for item in seen} == {"root", "a.txt", "b.txt", "c", "d.txt"}
    assert all("path" not in item["parentReference"] and "cTag" not in item for item in seen)

    client.ask("DELETE", "root:/a.txt")
    client.put("b.txt", b"changed")
    seen, link = drain_delta(client, link)
    assert {item.get("name") for item in seen} == {None, "b.txt"}
    assert [item["deleted"]["state"] for item in seen if "deleted" in item] == ["deleted"]
    assert drain_delta(client, link)[0] == []


def test_changes_are_told_for_the_whole_library_only(client: PlainGraph) -> None:
    folder = client.put("a/b.txt").json()["parentReference"]["id"]

    answer = client.ask("GET", f"items/{folder}/delta")

    assert (answer.status_code, code(answer)) == (400, "notSupported")


def test_a_new_enumeration_shows_nothing_deleted(client: PlainGraph) -> None:
    client.put("a.txt")
    client.ask("DELETE", "root:/a.txt")

    seen, _ = drain_delta(client, f"{client.drive}/root/delta")

    assert [item["name"] for item in seen] == ["root"]


def test_an_old_delta_token_asks_for_a_new_enumeration(client: PlainGraph) -> None:
    latest = client.ask("GET", "root/delta", params={"token": "latest"}).json()
    client.simulator.expire_delta_tokens()

    answer = client.send("GET", latest["@odata.deltaLink"])

    assert (answer.status_code, code(answer)) == (410, "resyncChangesApplyDifferences")
    assert client.send("GET", answer.headers["Location"]).status_code == 200
    assert client.ask("GET", "root/delta", params={"token": "nonsense"}).status_code == 400
