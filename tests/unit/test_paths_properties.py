"""Whatever a key is called: SharePoint accepts its name, the name leads back, and it stays in its folder."""

import sys
from unicodedata import normalize

from hypothesis import assume, given
from hypothesis import strategies as st

from sharepoint_proxy.errors import NameRefusedError
from sharepoint_proxy.paths import (
    Route,
    Routing,
    Target,
    comparison_key,
    decode_segment,
    encode_segment,
    parse_routing,
    split_library,
)
from simulator.names import check_new_name
from simulator.names import comparison_key as simulated_comparison_key

AWKWARD = [
    *' .~$"*:<>?|\\\n\x7f',
    *"\u201b\u2420\u2400\u2421\uff0e\uff5e\uff0a\uff0f",
    *"\xa0\u3000\u200a\x85\u0301\u0338",
]
AWKWARD += ["con", "COM1", ".lock", "Desktop.ini", "_vti_", "forms", "\u201b43", "C3", "4", "a", "B.txt"]

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20)
awkward_text = st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=6).map("".join)
names = any_text | awkward_text | st.tuples(awkward_text, any_text).map("".join)
keys = st.lists(names | st.sampled_from([".", "..", "a", "b", ""]), min_size=1, max_size=4).map("/".join)
routings = st.builds(
    parse_routing,
    st.lists(st.sampled_from(["a/", "b/=X", "a/b=X/Y", "a/a=/", "*", "a/X=a"]), min_size=1, unique=True).map(",".join),
    buckets=st.just(("lycee",)),
    bucket_as_folder=st.booleans(),
)

several_libraries = st.builds(
    lambda routes: Routing(tuple(routes)),
    st.lists(
        st.builds(
            Route,
            st.just("lycee"),
            st.sampled_from(["", "a/", "a/b/", "b/", "X/"]),
            st.sampled_from(["", "a", "X", "compta~1:", "compta~1:/a", "compta~1:/X/Y", "b~2:", "b~2:/a"]),
            include=st.sampled_from([(), ("**",), ("*", "**/a/**")]),
            exclude=st.sampled_from([(), ("**/B.txt*",)]),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda route: route.prefix,
    ),
)


def target_of(routing: Routing, key: str) -> Target:
    """The target of a key that has one; other examples are put aside."""
    try:
        target = routing.target("lycee", key)
    except NameRefusedError:
        target = None
    assume(target is not None)
    assert target is not None
    return target


@given(names, st.booleans())
def test_a_name_leads_back_to_its_key(name: str, at_root: bool) -> None:  # noqa: FBT001  (hypothesis draws it)
    assert decode_segment(encode_segment(name, at_root=at_root)) == normalize("NFC", name)


@given(names, st.booleans())
def test_sharepoint_accepts_every_name(name: str, at_root: bool) -> None:  # noqa: FBT001  (hypothesis draws it)
    check_new_name(encode_segment(name, at_root=at_root), is_folder=True, at_root=at_root)


@given(names, names)
def test_different_names_stay_different(one: str, other: str) -> None:
    assume(normalize("NFC", one) != normalize("NFC", other))
    assert encode_segment(one) != encode_segment(other)


@given(names | st.text("\u201b0123456789aFcCeE"))
def test_any_name_in_the_library_decodes_to_text_that_a_key_can_hold(stored: str) -> None:
    name = decode_segment(stored)
    assert name.encode().decode() == name


@given(routings, keys)
def test_a_target_stays_in_the_folder_of_a_route(routing: Routing, key: str) -> None:
    path = target_of(routing, key).path
    folders = [route.folder for route in routing.routes if key.startswith(route.prefix)]
    assert any(not folder or f"{path}/".startswith(f"{folder}/") for folder in folders)
    assert not {"", ".", ".."} & set(path.split("/"))


@given(routings, keys)
def test_the_key_found_for_a_path_is_one_that_leads_there(routing: Routing, key: str) -> None:
    target = target_of(routing, key)
    assume(not target.is_folder)
    found = routing.key(target.path)
    assert found is not None
    assert comparison_key(target_of(routing, found[1]).path) == comparison_key(target.path)


@given(st.sampled_from(["*", "*=X", "a/", "a/=/", "a/=X/Y"]), keys)
def test_a_path_leads_back_to_its_key(text: str, rest: str) -> None:
    routing = parse_routing(text, buckets=("lycee",), bucket_as_folder=False)
    key = ("" if text[0] == "*" else "a/") + normalize("NFC", rest)
    target = target_of(routing, key)
    assume(not target.is_folder)
    assert routing.key(target.path) == ("lycee", key)


@given(several_libraries, keys)
def test_a_key_stays_in_the_library_of_its_route_and_is_found_there(routing: Routing, key: str) -> None:
    target = target_of(routing, key)
    assume(not target.is_folder)
    route = max((each for each in routing.routes if key.startswith(each.prefix)), key=lambda each: len(each.prefix))
    library, rest = split_library(target.path)
    found = routing.key(target.path)

    assert library == split_library(route.folder)[0]
    assert ":" not in rest
    assert found is not None
    assert comparison_key(target_of(routing, found[1]).path) == comparison_key(target.path)


@given(several_libraries, keys)
def test_a_name_in_the_library_of_a_route_is_one_that_sharepoint_accepts(routing: Routing, key: str) -> None:
    _, path = split_library(target_of(routing, key).path)
    for at, name in enumerate(path.split("/")):
        check_new_name(name, is_folder=True, at_root=at == 0)


@given(several_libraries, keys)
def test_the_folder_above_is_routed_and_holds_the_path(routing: Routing, key: str) -> None:
    path = target_of(routing, key).path
    above = routing.folder_above(path)
    if above is not None:
        assert target_of(routing, above[1]) == Target(path.rpartition("/")[0], is_folder=True)


@given(several_libraries, keys)
def test_without_a_library_no_key_of_it_is_routed_and_the_others_stay(routing: Routing, key: str) -> None:
    library, _ = split_library(target_of(routing, key).path)

    assert not routing.without([library]).is_routed("lycee", key)
    assert routing.without(["elsewhere"]).target("lycee", key) == routing.target("lycee", key)


@given(st.text(), st.text())
def test_a_comparison_key_is_its_own_and_blind_to_case_and_composition(path: str, other: str) -> None:
    key = comparison_key(path)
    assert comparison_key(key) == key
    assert comparison_key(normalize("NFD", path)) == key
    assert comparison_key(path.upper()) == key
    assert (comparison_key(other) == key) == (comparison_key(other + "/x") == comparison_key(path + "/x"))


def test_it_takes_for_one_every_pair_of_characters_that_a_library_may_take_for_one() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    apart = [char for char in characters if comparison_key(char) != comparison_key(simulated_comparison_key(char))]
    assert apart == []
