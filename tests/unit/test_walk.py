"""Which folders of the library a prefix leads to, and that everything in them is found once."""

import pytest

from sharepoint_proxy.errors import AccessError, PermanentError, TransientError
from sharepoint_proxy.paths import Route, Routing, comparison_key
from sharepoint_proxy.patience import Patience
from sharepoint_proxy.records import DriveItem, ListedItem
from sharepoint_proxy.walk import Walk


class Tree:
    """A library of the files at PATHS, two children a page; the first look at each folder fails, and BARRED ones fail for good."""

    def __init__(self, *paths: str, barred: str = "") -> None:
        folders = {path[:end] for path in paths for end, letter in enumerate(path) if letter == "/"}
        self._items = {"": True} | dict.fromkeys(folders, True) | dict.fromkeys(paths, False)
        self._barred = barred
        self._seen: set[str] = set()

    def find(self, path: str) -> ListedItem | None:
        known = next((each for each in self._items if comparison_key(each) == comparison_key(path)), None)
        return None if known is None else self._listed(known)

    def page(self, folder_id: str, link: str | None = None) -> tuple[list[ListedItem], str | None]:
        if self._barred and folder_id == self._barred:
            raise AccessError("Graph answered 403.", status=403)
        if folder_id not in self._seen:
            self._seen.add(folder_id)
            raise TransientError("broke off")
        inside = (path for path in self._items if path.rpartition("/")[0] == folder_id)
        # "other:" is the root of another library.
        children = sorted(path for path in inside if path and not path.endswith(":"))
        start = int(link or 0)
        following = str(start + 2) if start + 2 < len(children) else None
        return [self._listed(path) for path in children[start : start + 2]], following

    def _listed(self, path: str) -> ListedItem:
        item = DriveItem(id=path, name=path.rpartition("/")[2], size=1, etag="", is_folder=self._items[path])
        return ListedItem(item=item, parent_id="", modified="2026-01-31T08:00:00Z")


def walk(tree: Tree, *routes: Route) -> Walk:
    return Walk(routing=Routing(routes), files=tree, patience=Patience(tries=2, delay=lambda _: 0.0))


def found(tree: Tree, prefix: str, *routes: Route) -> list[str]:
    """The paths of the files, in the order of their names."""
    items = list(walk(tree, *routes).items("lycee", prefix))
    return sorted(placed.path for placed, _ in items if not placed.item.is_folder)


HOME = Route("lycee", "a/", "a")
FILES = ("a/1", "a/2", "a/3", "a/b/4", "a/b/c/5", "x/6", "x/y/7", "8")


@pytest.mark.parametrize(
    ("prefix", "routes", "expected"),
    [
        ("", [HOME], ["a/1", "a/2", "a/3", "a/b/4", "a/b/c/5"]),
        ("a", [HOME], ["a/1", "a/2", "a/3", "a/b/4", "a/b/c/5"]),
        ("a/b", [HOME], ["a/b/4", "a/b/c/5"]),
        ("A/B", [Route("lycee", "A/", "a")], ["a/B/4", "a/B/c/5"]),
        ("a/3", [HOME], ["a/3"]),
        ("", [HOME, Route("lycee", "z/", "x")], ["a/1", "a/2", "a/3", "a/b/4", "a/b/c/5", "x/6", "x/y/7"]),
        ("z/y", [HOME, Route("lycee", "z/", "x")], ["x/y/7"]),
        ("", [HOME, Route("other", "z/", "x")], ["a/1", "a/2", "a/3", "a/b/4", "a/b/c/5"]),
        ("", [Route("lycee", "", ""), HOME], list(FILES)),
        ("a", [Route("lycee", "a/", "x"), Route("lycee", "a/b/", "a/b")], ["a/b/4", "a/b/c/5", "x/6", "x/y/7"]),
        ("a/b", [Route("lycee", "a/", "x"), Route("lycee", "a/b/", "a/b")], ["a/b/4", "a/b/c/5"]),
        ("a/b", [Route("lycee", "a/", "a", include=("**/5",))], ["a/b/4", "a/b/c/5"]),
        ("", [Route("lycee", "", ""), Route("lycee", "c/", "other:")], [*FILES, "other:/9", "other:/d/10"]),
        ("c/d", [Route("lycee", "", ""), Route("lycee", "c/", "other:")], ["other:/d/10"]),
    ],
)
def test_it_finds_each_file_below_a_prefix_once(prefix: str, routes: list[Route], expected: list[str]) -> None:
    assert found(Tree(*FILES, "other:/9", "other:/d/10"), prefix, *routes) == sorted(expected)


def test_a_folder_that_is_barred_hides_no_other() -> None:
    items = list(walk(Tree(*FILES, barred="a/b"), HOME).items("lycee", ""))
    assert [placed.path for placed, trouble in items if trouble is not None] == ["a/b"]
    assert sorted(placed.path for placed, _ in items if not placed.item.is_folder) == ["a/1", "a/2", "a/3"]


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [("b", "under no prefix that is mirrored"), ("a/none", "holds nothing at a/none, where lycee/a/none belongs")],
)
def test_it_says_why_there_is_nothing(prefix: str, sentence: str) -> None:
    with pytest.raises(PermanentError, match=sentence):
        found(Tree(*FILES), prefix, HOME)
