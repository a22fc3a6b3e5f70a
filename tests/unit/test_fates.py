"""Which keys a restore is asked for, and where they go."""

import pytest

from sharepoint_proxy.fates import Request


def request(prefix: str, to: tuple[str, str] | None = None) -> Request:
    return Request(bucket="lycee", prefix=prefix, to=to, dry_run=False, overwrite=False, on_bytes=lambda _: None)


@pytest.mark.parametrize(
    ("prefix", "key", "is_covered"),
    [
        ("", "any/key.txt", True),
        ("reports", "reports/a.txt", True),
        ("reports", "reports/", True),
        ("reports", "reports2/a.txt", False),
        ("reports", "reports.txt", False),
        ("reports/a.txt", "reports/a.txt", True),
        ("reports/\u00e9t\u00e9", "reports/e\u0301te\u0301/a.txt", True),
    ],
)
def test_a_prefix_is_a_folder_or_one_key(prefix: str, key: str, *, is_covered: bool) -> None:
    assert request(prefix).covers("lycee", key) == is_covered
    assert not request(prefix).covers("other", key)


@pytest.mark.parametrize(
    ("prefix", "to", "key", "destination"),
    [
        ("a", None, "a/b.txt", ("lycee", "a/b.txt")),
        ("a/b", ("spare", "x"), "a/b/c/d.txt", ("spare", "x/c/d.txt")),
        ("a/b", ("spare", "x/"), "a/b/", ("spare", "x/")),
        ("a/b.txt", ("spare", "x/y"), "a/b.txt", ("spare", "x/y/b.txt")),
        ("", ("spare", ""), "a/b.txt", ("spare", "a/b.txt")),
        ("", ("spare", "x"), "b.txt", ("spare", "x/b.txt")),
        ("\u00e9t\u00e9", ("spare", ""), "e\u0301te\u0301/a.txt", ("spare", "a.txt")),
    ],
)
def test_below_the_destination_a_key_keeps_its_path_below_the_prefix(
    prefix: str, to: tuple[str, str] | None, key: str, destination: tuple[str, str]
) -> None:
    assert request(prefix, to).destination("lycee", key) == destination
