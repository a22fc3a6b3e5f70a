"""What is read out of Graph's feed of all that a library holds."""

from collections.abc import Mapping
from typing import Any

import pytest

from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.library import Drive, Library
from sharepoint_proxy.records import Answer


class Feed:
    """A Graph that gives one answer to everything."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._answer = Answer(200, dict(body))

    def call(self, *_: object, **__: object) -> Answer:
        """The answer."""
        return self._answer


def library(**body: object) -> Library:
    """A library whose feed has BODY."""
    return Library(Feed(body), Drive(id="drive", name="Documents", url_path="/Documents"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"value": None, "@odata.deltaLink": "https://graph"},
        {"value": []},
        {"value": [{"name": "no id"}], "@odata.deltaLink": "https://graph"},
    ],
)
def test_a_page_that_is_not_whole_is_no_page(body: dict[str, object]) -> None:
    """Without a link to go on from, the feed is not at its end: what it lacks would be taken for deleted."""
    with pytest.raises(TransientError):
        library(**body).listed()


def test_the_last_page_leads_nowhere() -> None:
    assert library(**{"value": [], "@odata.deltaLink": "https://graph"}).listed() == ([], None)
    assert library(**{"value": [], "@odata.nextLink": "https://graph/next"}).listed() == ([], "https://graph/next")


def test_a_notebook_is_a_folder() -> None:
    """And so no file that somebody could want to be deleted."""
    notebook = {"id": "1", "name": "Notes", "size": 5, "package": {"type": "oneNote"}, "parentReference": {"id": "0"}}
    file = {"id": "2", "name": "a.txt", "size": 5, "file": {}, "parentReference": {"id": "0"}}
    root = {"id": "0", "name": "root", "folder": {}, "root": {}}
    gone = {"id": "3", "deleted": {"state": "deleted"}}
    page, _ = library(**{"value": [root, notebook, file, gone], "@odata.deltaLink": "https://graph"}).listed()
    assert [entry.item.is_folder for entry in page[:3]] == [True, True, False]
    assert [entry.is_root for entry in page] == [True, False, False, False]
    assert [entry.is_deleted for entry in page] == [False, False, False, True]
    assert page[1].parent_id == "0"
