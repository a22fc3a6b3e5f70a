"""Items in the simulated library are written, listed, moved, deleted and described as SharePoint does it."""

import pytest
import requests
from contract.plain_graph import PlainGraph, code

from sharepoint_proxy.quickxor import QuickXorHash
from simulator.options import LARGEST_PUT_BYTES, OfficeRewriting

MIB = 1024 * 1024
BEHAVIOUR = "@microsoft.graph.conflictBehavior"


def quickxor(content: bytes) -> str:
    digest = QuickXorHash()
    digest.update(content)
    return digest.base64()


def make_folder(
    client: PlainGraph, name: str, *, parent: str = "root", behaviour: str | None = None
) -> requests.Response:
    body: dict[str, object] = {"name": name, "folder": {}}
    if behaviour:
        body[BEHAVIOUR] = behaviour
    return client.ask("POST", f"{parent}/children", json=body)


def patch(client: PlainGraph, item_id: str, body: dict[str, object], **headers: str) -> requests.Response:
    return client.ask("PATCH", f"items/{item_id}", json=body, headers=headers)


def test_a_put_makes_a_file_and_its_folders(client: PlainGraph) -> None:
    answer = client.put("a/b/c.txt")
    item = answer.json()

    assert answer.status_code == 201
    assert client.simulator.tree() == {"a": None, "a/b": None, "a/b/c.txt": 5}
    assert item["file"]["hashes"]["quickXorHash"] == quickxor(b"hello")
    assert item["parentReference"]["path"].endswith("/root:/a/b")
    assert item["createdBy"]["application"]["id"] == client.simulator.client_id


def test_missing_folders_of_a_put_can_be_refused(client: PlainGraph) -> None:
    client.simulator.change(put_makes_parents=False)

    assert client.put("a/b.txt").status_code == 404


def test_a_second_put_makes_a_version_of_the_same_item(client: PlainGraph) -> None:
    first = client.put("a.txt").json()
    answer = client.put("A.TXT", b"hello again")
    second = answer.json()

    assert answer.status_code == 200
    assert second["id"] == first["id"]
    assert second["name"] == "a.txt"
    assert second["eTag"] != first["eTag"]
    assert second["cTag"] != first["cTag"]
    versions = client.ask("GET", f"items/{first['id']}/versions").json()["value"]
    assert [(version["id"], version["size"]) for version in versions] == [("2.0", 11), ("1.0", 5)]


def test_a_put_by_id_replaces_content(client: PlainGraph) -> None:
    item = client.put("a.txt").json()

    answer = client.ask("PUT", f"items/{item['id']}/content", data=b"other")

    assert answer.status_code == 200
    assert client.simulator.content("a.txt") == b"other"


def test_a_put_takes_its_conflict_behaviour_from_the_query(client: PlainGraph) -> None:
    client.put("a.txt")

    assert code(client.put("a.txt", params={BEHAVIOUR: "fail"})) == "nameAlreadyExists"
    assert client.put("a.txt", params={BEHAVIOUR: "rename"}).json()["name"] == "a 1.txt"
    assert client.put("a.txt", params={BEHAVIOUR: "overwrite"}).status_code == 400


def test_a_put_is_limited_twice(client: PlainGraph) -> None:
    """4 MiB by choice, 250 MiB by the service; the announced length suffices to be refused."""
    assert client.put("a.bin", bytes(4 * MIB)).status_code == 201
    assert client.put("b.bin", bytes(4 * MIB + 1)).status_code == 413

    client.simulator.change(put_limit=LARGEST_PUT_BYTES)
    assert client.put("b.bin", bytes(4 * MIB + 1)).status_code == 201

    assert client.simulator.options.put_cap == 250 * MIB
    client.simulator.change(put_cap=10)
    capped = client.put("c.bin", bytes(11))
    assert (capped.status_code, "too big" in capped.text) == (400, True)


def test_an_empty_file_has_no_hash(client: PlainGraph) -> None:
    item = client.put("empty.txt", b"").json()

    assert item["size"] == 0
    assert "hashes" not in item["file"]


def test_a_put_honours_conditions(client: PlainGraph) -> None:
    item = client.put("a.txt").json()

    stale = client.put("a.txt", headers={"If-Match": '"{0},9"'})
    assert (stale.status_code, code(stale)) == (412, "notAllowed")
    assert client.put("a.txt", headers={"If-None-Match": "*"}).status_code == 412
    assert client.put("b.txt", headers={"If-Match": "*"}).status_code == 412
    assert client.put("b.txt", headers={"If-None-Match": "*"}).status_code == 201
    assert client.put("a.txt", b"next", headers={"If-Match": item["eTag"]}).status_code == 200


def test_files_and_folders_do_not_take_each_others_place(client: PlainGraph) -> None:
    client.put("folder/file.txt")

    for answer in (client.put("folder"), client.put("folder/file.txt/below.txt"), make_folder(client, "folder")):
        assert (answer.status_code, code(answer)) == (409, "nameAlreadyExists")
    assert make_folder(client, "file.txt", parent="root:/folder:", behaviour="replace").status_code == 409
    assert client.open_session("folder").status_code == 409


def test_a_folder_that_exists_is_a_conflict_unless_told_otherwise(client: PlainGraph) -> None:
    first = make_folder(client, "a")
    replaced = make_folder(client, "A", behaviour="replace")

    assert first.status_code == 201
    assert make_folder(client, "a").status_code == 409
    assert make_folder(client, "a", behaviour="fail").status_code == 409
    assert (replaced.status_code, replaced.json()["id"]) == (200, first.json()["id"])
    assert make_folder(client, "a", behaviour="rename").json()["name"] == "a 1"


def test_folders_are_made_level_by_level(client: PlainGraph) -> None:
    assert make_folder(client, "b", parent="root:/a:").status_code == 404
    make_folder(client, "a")
    assert make_folder(client, "b", parent="root:/a:").status_code == 201


def test_a_body_must_be_json_and_say_so(client: PlainGraph) -> None:
    route = "root/children"

    untyped = client.ask("POST", route, data=b'{"name": "a", "folder": {}}')
    broken = client.ask("POST", route, data=b"{", headers={"Content-Type": "application/json"})
    nameless = client.ask("POST", route, json={"folder": {}})
    not_a_folder = client.ask("POST", route, json={"name": "a"})

    assert [code(answer) for answer in (untyped, broken)] == ["BadRequest", "BadRequest"]
    assert [code(answer) for answer in (nameless, not_a_folder)] == ["invalidRequest", "invalidRequest"]


def test_children_are_listed_in_pages(client: PlainGraph) -> None:
    for name in ("c.txt", "a.txt", "b.txt"):
        client.put(name)

    first = client.ask("GET", "root/children", params={"$top": "2", "$select": "name"}).json()
    second = client.send("GET", first["@odata.nextLink"]).json()

    assert first["value"] == [{"name": "a.txt"}, {"name": "b.txt"}]
    assert [child["name"] for child in second["value"]] == ["c.txt"]
    assert client.ask("GET", "root/children", params={"$top": "none"}).status_code == 400


def test_a_delete_goes_to_the_recycle_bin(client: PlainGraph) -> None:
    item = client.put("a/b.txt").json()

    answer = client.ask("DELETE", f"items/{item['id']}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert client.simulator.recycle_bin() == ["a/b.txt"]
    recycled = client.simulator.item_by_id(item["id"])
    assert recycled is not None
    assert recycled.recycled
    assert client.ask("DELETE", "root:/a/b.txt").status_code == 404


def test_a_delete_honours_if_match(client: PlainGraph) -> None:
    item = client.put("a.txt").json()
    client.put("a.txt", b"newer")

    answer = client.ask("DELETE", "root:/a.txt:", headers={"If-Match": item["eTag"]})

    assert (answer.status_code, code(answer)) == (412, "resourceModified")
    assert client.simulator.tree() == {"a.txt": 5}


def test_a_permanent_delete_skips_the_recycle_bin(client: PlainGraph) -> None:
    item = client.put("a.txt").json()

    assert client.ask("POST", f"items/{item['id']}/permanentDelete").status_code == 204
    assert client.simulator.recycle_bin() == []
    assert client.simulator.item_by_id(item["id"]) is None


def test_a_held_folder_is_deleted_only_when_empty(client: PlainGraph) -> None:
    client.put("a/b.txt")
    client.simulator.change(folder_hold=True)

    held = client.ask("DELETE", "root:/a")

    assert (held.status_code, code(held)) == (403, "accessDenied")
    assert [client.ask("DELETE", route).status_code for route in ("root:/a/b.txt", "root:/a")] == [204, 204]


def test_the_root_cannot_be_deleted(client: PlainGraph) -> None:
    assert client.ask("DELETE", "root").status_code == 403


def test_a_move_keeps_id_and_versions(client: PlainGraph) -> None:
    item = client.put("a.txt").json()
    client.put("a.txt", b"newer")
    folder = make_folder(client, "b").json()

    answer = patch(client, item["id"], {"name": "c.txt", "parentReference": {"id": folder["id"]}})

    assert answer.status_code == 200
    assert client.simulator.tree() == {"b": None, "b/c.txt": 5}
    moved = client.simulator.item("b/c.txt")
    assert moved is not None
    assert (moved.id, moved.versions) == (item["id"], 2)


def test_a_move_may_name_the_folder_by_path(client: PlainGraph) -> None:
    item = client.put("a.txt").json()
    make_folder(client, "b c")

    patch(client, item["id"], {"parentReference": {"path": "/drive/root:/b%20c"}})

    assert "b c/a.txt" in client.simulator.tree()


def test_a_rename_onto_another_file_needs_the_word_in_the_body(client: PlainGraph) -> None:
    item = client.put("a.txt", b"mine").json()
    client.put("b.txt", b"theirs")

    assert code(patch(client, item["id"], {"name": "b.txt"})) == "nameAlreadyExists"
    in_query = client.ask("PATCH", f"items/{item['id']}", json={"name": "b.txt"}, params={BEHAVIOUR: "replace"})
    assert in_query.status_code == 409
    assert patch(client, item["id"], {"name": "b.txt", BEHAVIOUR: "replace"}).status_code == 200
    assert client.simulator.content("b.txt") == b"mine"


def test_a_rename_may_change_the_case_only(client: PlainGraph) -> None:
    item = client.put("a.txt").json()

    assert patch(client, item["id"], {"name": "A.txt"}).status_code == 200
    assert client.simulator.tree() == {"A.txt": 5}


def test_folders_are_never_replaced_by_a_move(client: PlainGraph) -> None:
    make_folder(client, "a")
    folder = make_folder(client, "b").json()

    assert patch(client, folder["id"], {"name": "a", BEHAVIOUR: "replace"}).status_code == 409


def test_a_move_to_a_missing_folder_still_renames(client: PlainGraph) -> None:
    """The call is not atomic: it answers 404 and has applied the new name."""
    item = client.put("a.txt").json()

    answer = patch(client, item["id"], {"name": "b.txt", "parentReference": {"id": "01NOSUCHFOLDER"}})

    assert (answer.status_code, code(answer)) == (404, "itemNotFound")
    assert client.simulator.tree() == {"b.txt": 5}


def test_a_move_cannot_use_root_as_an_id_or_leave_the_drive(client: PlainGraph) -> None:
    item = client.put("a/b.txt").json()

    assert patch(client, item["id"], {"parentReference": {"id": "root"}}).status_code == 404
    assert patch(client, item["id"], {"parentReference": {"driveId": "b!other", "id": "x"}}).status_code == 400
    folder = client.get("a").json()
    assert patch(client, folder["id"], {"parentReference": {"id": folder["id"]}}).status_code == 400


def test_a_move_honours_if_match(client: PlainGraph) -> None:
    item = client.put("a.txt").json()
    client.simulator.edit_foreign("a.txt", b"somebody was here")

    assert patch(client, item["id"], {"name": "b.txt"}, **{"If-Match": item["eTag"]}).status_code == 412
    assert client.simulator.tree() == {"a.txt": 17}


def test_dates_can_be_set_at_the_price_of_a_version(client: PlainGraph) -> None:
    item = client.put("a.txt").json()

    answer = patch(client, item["id"], {"fileSystemInfo": {"lastModifiedDateTime": "2020-02-03T04:05:06.789Z"}})

    assert answer.json()["fileSystemInfo"]["lastModifiedDateTime"] == "2020-02-03T04:05:06Z"
    assert answer.json()["lastModifiedDateTime"] != "2020-02-03T04:05:06Z"
    stored = client.simulator.item("a.txt")
    assert stored is not None
    assert stored.versions == 2
    assert patch(client, item["id"], {"fileSystemInfo": {"lastModifiedDateTime": "yesterday"}}).status_code == 400


def test_a_move_sets_the_date_to_now_unless_it_brings_one(client: PlainGraph) -> None:
    item = client.put("a.txt").json()
    dates: dict[str, object] = {"fileSystemInfo": {"lastModifiedDateTime": "2020-02-03T04:05:06Z"}}
    patch(client, item["id"], dates)

    moved = patch(client, item["id"], {"name": "b.txt"}).json()
    moved_with_date = patch(client, item["id"], {"name": "c.txt", **dates}).json()

    years = [document["fileSystemInfo"]["lastModifiedDateTime"][:4] == "2020" for document in (moved, moved_with_date)]
    assert years == [False, True]


def test_a_write_sets_the_date_back_to_now(client: PlainGraph) -> None:
    item = client.put("a.txt").json()
    patch(client, item["id"], {"fileSystemInfo": {"lastModifiedDateTime": "2020-02-03T04:05:06Z"}})

    assert not client.put("a.txt").json()["fileSystemInfo"]["lastModifiedDateTime"].startswith("2020")


def test_columns_are_known_by_name_and_type(client: PlainGraph) -> None:
    item = client.put("a.txt").json()
    route = f"items/{item['id']}/listItem/fields"

    def set_fields(**fields: object) -> requests.Response:
        return client.ask("PATCH", route, json=fields)

    assert set_fields(Auteur="Ada", Pages=3, Final=True, Echeance="2026-01-01T00:00:00Z").status_code == 200
    assert client.ask("GET", route).json()["Auteur"] == "Ada"
    assert "Field 'Author2' is not recognized" in set_fields(Author2="x").text
    assert [set_fields(**{name: "x"}).status_code for name in ("Pages", "Final", "Echeance")] == [400, 400, 400]
    stored = client.simulator.item("a.txt")
    assert stored is not None
    assert (stored.versions, stored.fields["Pages"]) == (2, 3)


def test_content_is_fetched_from_another_host_without_a_token(client: PlainGraph) -> None:
    client.put("a.txt")
    answer = client.ask("GET", "root:/a.txt:/content")
    location = answer.headers["Location"]

    assert answer.status_code == 302
    assert not location.startswith(client.simulator.base_url.removesuffix("/v1.0"))
    assert client.bare("GET", location).content == b"hello"
    part = client.bare("GET", location, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"ell", "bytes 1-3/5")
    assert client.bare("GET", location.replace("tempauth=", "tempauth=9")).status_code == 401
    client.simulator.advance(2 * 3600)
    assert client.bare("GET", location).status_code == 401


@pytest.mark.parametrize(
    ("rewriting", "size_in_answer"),
    [(OfficeRewriting.IN_THE_ANSWER, 62), (OfficeRewriting.AFTER_THE_ANSWER, 5), (OfficeRewriting.OFF, 5)],
)
def test_office_documents_grow_when_told_to(
    client: PlainGraph, rewriting: OfficeRewriting, size_in_answer: int
) -> None:
    client.simulator.change(office_rewriting=rewriting)

    written = client.put("a.docx").json()
    seen = client.get("a.docx").json()
    client.put("a.txt")

    assert written["size"] == size_in_answer
    assert (seen["size"] > 5) == (rewriting is not OfficeRewriting.OFF)
    assert (seen["eTag"] != written["eTag"]) == (rewriting is OfficeRewriting.AFTER_THE_ANSWER)
    assert client.simulator.tree()["a.txt"] == 5


def test_other_people_work_in_the_library_too(client: PlainGraph) -> None:
    put = client.simulator.put_foreign("a/b.txt", b"hello")
    renamed = client.simulator.rename_foreign("a/b.txt", "c/d.txt")
    client.simulator.delete_foreign("a")

    assert put.author.person is not None
    assert renamed.id == put.id
    assert client.get("c/d.txt").json()["createdBy"]["user"]["displayName"] == put.author.person
    assert client.simulator.tree() == {"c": None, "c/d.txt": 5}
    with pytest.raises(LookupError, match=r"There is no 'a/b\.txt'"):
        client.simulator.edit_foreign("a/b.txt", b"")
