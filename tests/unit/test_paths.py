"""Keys become places in the library, and settings become the map between the two."""

from collections.abc import Sequence

import pytest

from sharepoint_proxy.errors import ConfigError, NameRefusedError
from sharepoint_proxy.paths import (
    Route,
    Routing,
    Target,
    comparison_key,
    decode_segment,
    encode_segment,
    parse_routing,
    path_length,
    split_library,
)


def routing(text: str, *, buckets: Sequence[str] = ("lycee",), bucket_as_folder: bool = False) -> Routing:
    return parse_routing(text, buckets=buckets, bucket_as_folder=bucket_as_folder)


def file_at(path: str) -> Target:
    return Target(path, is_folder=False)


def folder_at(path: str) -> Target:
    return Target(path, is_folder=True)


@pytest.mark.parametrize(
    "name", ["rapport 2024.docx", "\xe9t\xe9.pdf", "#1 100%.txt", ".hidden", "a~b", "confetti", "x.lock", "vti_"]
)
def test_it_keeps_a_name_that_sharepoint_accepts(name: str) -> None:
    assert encode_segment(name, at_root=True) == name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("CON", "\u201b43ON"),
        ("con.txt", "\u201b63on.txt"),
        (".lock", "\u201b2Elock"),
        ("desktop.ini", "\u201b64esktop.ini"),
        ("x_vti_y_VTI_", "x\u201b5Fvti_y\u201b5FVTI_"),
        ("_vti_vti_", "\u201b5Fvti\u201b5Fvti_"),
        ("\xa0a", "\u201bC2\u201bA0a"),
        ("~$plan.docx", "\uff5e$plan.docx"),
    ],
)
def test_it_escapes_a_character_of_a_name_that_sharepoint_reserves(name: str, stored: str) -> None:
    assert encode_segment(name) == stored
    assert decode_segment(stored) == name


def test_it_escapes_forms_only_at_the_root_of_the_library() -> None:
    assert encode_segment("Forms", at_root=True) == "\u201b46orms"
    assert encode_segment("Forms") == "Forms"
    assert encode_segment("forms.txt", at_root=True) == "forms.txt"


def test_it_composes_decomposed_names() -> None:
    assert encode_segment("e\u0301te\u0301") == "\xe9t\xe9"


def test_it_leaves_an_escape_that_is_no_text_as_it_is() -> None:
    assert decode_segment("a\u201bFF") == "a\u201bFF"


def test_paths_that_differ_in_case_or_composition_compare_equal() -> None:
    assert comparison_key("\xc9t\xe9/A.txt") == comparison_key("e\u0301TE\u0301/a.TXT")
    assert comparison_key("a/b") != comparison_key("ab")


def test_it_counts_a_character_beyond_the_basic_plane_twice() -> None:
    assert path_length("a\xe9\U0001f600") == 4


def test_a_key_keeps_its_path_below_its_prefix() -> None:
    routes = routing("administration/,bts-sio/")
    assert routes.target("lycee", "bts-sio/tp/a:b.txt") == file_at("bts-sio/tp/a\uff1ab.txt")


def test_a_key_of_another_prefix_or_bucket_is_not_routed() -> None:
    routes = routing("administration")
    for bucket, key in [("lycee", "administration2/x"), ("lycee", "administration"), ("autre", "administration/x")]:
        assert routes.target(bucket, key) is None
        assert not routes.is_routed(bucket, key)


def test_a_folder_takes_the_place_of_its_prefix_as_it_was_typed() -> None:
    routes = routing("archives/2024/=Archives/Ann\xe9e 2024/")
    assert routes.target("lycee", "archives/2024/x/y.pdf") == file_at("Archives/Ann\xe9e 2024/x/y.pdf")


def test_the_longest_prefix_wins() -> None:
    routes = routing("*,archives/=Vieux,archives/2024/=Archives/2024")
    assert routes.target("lycee", "archives/2024/x") == file_at("Archives/2024/x")
    assert routes.target("lycee", "archives/2023/x") == file_at("Vieux/2023/x")
    assert routes.target("lycee", "x") == file_at("x")


def test_a_star_with_a_folder_puts_all_keys_into_it() -> None:
    assert routing("*=Miroir").target("lycee", "a/b") == file_at("Miroir/a/b")


def test_a_lone_slash_as_folder_is_the_library_itself() -> None:
    assert routing("site/=/").target("lycee", "site/a/b") == file_at("a/b")


def test_a_key_that_ends_in_a_slash_is_a_folder() -> None:
    assert routing("*").target("lycee", "a/b/") == folder_at("a/b")


def test_the_key_that_is_the_prefix_is_the_folder_of_the_route() -> None:
    assert routing("a/b/=X/Y").target("lycee", "a/b/") == folder_at("X/Y")


def test_there_is_nothing_to_do_for_the_key_that_stands_for_the_library_itself() -> None:
    routes = routing("a/=/")
    assert routes.target("lycee", "a/") is None
    assert routes.is_routed("lycee", "a/")


def test_the_bucket_comes_first_when_it_is_a_folder() -> None:
    routes = routing("a/,b/=X,*", buckets=("con", "lycee"), bucket_as_folder=True)
    assert routes.target("lycee", "a/x") == file_at("lycee/a/x")
    assert routes.target("lycee", "b/x") == file_at("lycee/X/x")
    assert routes.target("con", "forms") == file_at("\u201b63on/forms")


def test_dots_in_a_key_lead_nowhere_else() -> None:
    assert routing("a/").target("lycee", "a/../b/./c") == file_at("a/\uff0e\uff0e/b/\uff0e/c")


def test_only_the_first_name_of_a_library_path_is_at_its_root() -> None:
    routes = routing("*,a/=/,forms/,b/=B,c=B/Forms,d/forms")
    assert routes.target("lycee", "a/forms/forms") == file_at("\u201b66orms/forms")
    assert routes.target("lycee", "forms/x") == file_at("\u201b66orms/x")
    assert routes.target("lycee", "b/forms") == file_at("B/forms")
    assert routes.target("lycee", "c/x") == file_at("B/Forms/x")
    assert routes.target("lycee", "d/forms/x") == file_at("d/forms/x")


@pytest.mark.parametrize(
    ("key", "offence"),
    [
        ("a//b", "'a//b' has a slash with no name before it"),
        ("/b", "'/b' has a slash with no name before it"),
        ("a//", "'a//' has a slash with no name before it"),
        ("/", "'/' has a slash with no name before it"),
        ("a/b\0c", r"'b\\x00c' holds '\\x00'"),
        ("a/\ud800", r"'\\ud800' holds '\\ud800'"),
        ("a/" + "\U0001f600" * 128, "takes over 255 characters"),
        ("a/" + "\xa0" + "x" * 250, "takes over 255 characters"),
    ],
)
def test_it_refuses_a_key_that_can_have_no_name(key: str, offence: str) -> None:
    routes = routing("*")
    assert routes.is_routed("lycee", key)
    with pytest.raises(NameRefusedError, match=f"{offence}.*: rename the object$"):
        routes.target("lycee", key)


def test_it_accepts_a_name_of_255_characters() -> None:
    assert routing("*").target("lycee", "x" * 255) == file_at("x" * 255)


def test_it_finds_the_key_of_a_path() -> None:
    routes = routing("administration/,archives/=Vieux,archives/2024/=Archives/2024", buckets=("lycee", "copie"))
    assert routes.key("administration/a\uff1ab") == ("lycee", "administration/a:b")
    assert routes.key("Archives/2024/x") == ("lycee", "archives/2024/x")
    assert routes.key("Vieux/2023/x") == ("lycee", "archives/2023/x")
    assert routing("a/", buckets=("one", "two"), bucket_as_folder=True).key("two/a/x") == ("two", "a/x")


def test_the_route_with_the_longest_folder_names_the_key_of_a_path() -> None:
    for text in ("a=X,b=X/Y", "b=X/Y,a=X"):
        assert routing(text).key("X/Y/z") == ("lycee", "b/z")


def test_it_finds_a_key_whatever_the_case_and_composition_of_the_folders() -> None:
    assert routing("a/=\xc9t\xe9").key("e\u0301te\u0301/x") == ("lycee", "a/x")


@pytest.mark.parametrize(
    "path",
    [
        "Autre/x",
        "Vieux",
        "",
        "Vieux/2024/x",  # its key would have the longer prefix, and so go to Archives
        "Vieux/\u201b41",  # the key "A" goes to Vieux/A
        "Vieux/a\uff0fb",
        "Vieux//x",
    ],
)
def test_it_finds_no_key_for_a_path_that_none_leads_to(path: str) -> None:
    assert routing("archives/=Vieux,archives/2024/=Archives/2024").key(path) is None


def test_it_reads_a_list_with_spaces_and_empty_places() -> None:
    assert routing(" a , b c = X ,, ").routes == (Route("lycee", "a/", "a"), Route("lycee", "b c/", "X"))


def test_it_routes_every_bucket_alike() -> None:
    assert routing("a", buckets=("one", "two")).routes == (Route("one", "a/", "a"), Route("two", "a/", "a"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the list is empty; name the prefixes to mirror ('administration/,bts-sio/') or * for all keys."),
        (" , ", "the list is empty; name the prefixes to mirror ('administration/,bts-sio/') or * for all keys."),
        ("=X", "'=X' has no prefix; write * for all keys."),
        ("/a", "'/a' begins with a slash, and no key does; leave it out."),
        ("a//b", "'a//b' has two slashes in a row, and SharePoint has no folder without a name; write one."),
        ("a/../b", "'a/../b' goes through '.' or '..', which no key holds; write the prefix without it."),
        ("./a", "'./a' goes through '.' or '..', which no key holds; write the prefix without it."),
        ("a\\b", "'a\\\\b' holds a backslash; separate folders by '/'."),
        ("a\x01b", "'a\\x01b' holds a control character; type the prefix again."),
        ("a\udce9", "'a\\udce9' is not UTF-8; save the setting as UTF-8."),
        ("a,b,a/=X", "'a/' is given more than once; keep one."),
        ("*,*=X", "'*' is given more than once; keep one."),
        ("a=X//Y", "'a=X//Y' names a folder with a slash too many; leave it out."),
        ("a=/X", "'a=/X' names a folder with a slash too many; leave it out."),
        ("a=X:", "'a=X:' names a folder 'X:', and SharePoint refuses ':' there; choose another name."),
        ("a=~X", "'a=~X' names a folder '~X', and SharePoint refuses '~' there; choose another name."),
        ("a=X/..", "'a=X/..' names a folder '..', and SharePoint refuses '.' there; choose another name."),
        ("a=Forms", "'a=Forms' names a folder 'Forms', which SharePoint keeps for itself; choose another name."),
        ("a=X/aux.d", "'a=X/aux.d' names a folder 'aux.d', which SharePoint keeps for itself; choose another name."),
        ("a=X_vti_", "'a=X_vti_' names a folder 'X_vti_', which SharePoint keeps for itself; choose another name."),
    ],
)
def test_it_refuses_a_list_with_one_sentence_that_says_what_to_do(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        routing(text)
    assert refused.value.problems == (f"ALLOWED_PREFIXES: {problem}",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a/" * 513, "has a prefix of more than 1024 characters"),
        ("a/*", "has * beside something else"),
        ("*.pdf", "has * beside something else"),
        ("a=" + "x" * 256, "names a folder of more than 255 characters"),
        ("\u201b" * 200, "names a folder of more than 255 characters"),
    ],
)
def test_it_refuses_what_cannot_match_or_be_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        routing(text)
    assert [problem in sentence for sentence in refused.value.problems] == [True]


def test_it_lists_every_problem_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        routing("/a,b\\c,d=CON/x:y")
    assert len(refused.value.problems) == 4


def test_a_folder_may_hold_a_stand_in_and_be_called_forms_below_a_bucket() -> None:
    routes = routing("a=Forms/x\uff1ay", bucket_as_folder=True)
    assert routes.target("lycee", "a/b") == file_at("lycee/Forms/x\uff1ay/b")


PDFS = Route("lycee", "a/", "X", include=("**/*.pdf",), exclude=("private/**",))


@pytest.mark.parametrize("key", ["a/x.pdf", "a/b/x.pdf", "a/"])
def test_a_glob_lets_keys_below_the_prefix_pass(key: str) -> None:
    assert Routing((PDFS,)).is_routed("lycee", key)


@pytest.mark.parametrize("key", ["a/x.txt", "a/b/", "a/private/x.pdf", "x.pdf"])
def test_a_key_that_no_glob_lets_pass_is_not_routed(key: str) -> None:
    routing = Routing((PDFS,))

    assert not routing.is_routed("lycee", key)
    assert routing.target("lycee", key) is None
    assert not routing.may_remove("lycee", key)


def test_a_key_that_its_route_leaves_out_takes_no_other_route() -> None:
    assert not Routing((PDFS, Route("lycee", "", ""))).is_routed("lycee", "a/x.txt")


def test_a_place_of_a_key_that_is_left_out_leads_to_no_key() -> None:
    routing = Routing((PDFS,))

    assert routing.key("X/b/x.pdf") == ("lycee", "a/b/x.pdf")
    assert routing.key("X/x.txt") is None
    assert routing.folder_above("X/b/x.pdf") is None
    assert routing.unfiltered().folder_above("X/b/x.pdf") == ("lycee", "a/b/")


def test_a_route_that_keeps_files_removes_nothing() -> None:
    routing = Routing((Route("lycee", "a/", "a"), Route("lycee", "a/kept/", "a/kept", keeps_files=True)))

    assert routing.may_remove("lycee", "a/x")
    assert not routing.may_remove("lycee", "a/kept/x")
    assert not routing.may_remove("lycee", "b/x")


def test_forms_is_escaped_at_the_root_of_every_library() -> None:
    routing = Routing((Route("lycee", "", "b~1:"), Route("lycee", "a/", "b~1:/X")))

    assert routing.target("lycee", "forms/x") == Target("b~1:/\u201b66orms/x", is_folder=False)
    assert routing.target("lycee", "a/forms/x") == Target("b~1:/X/forms/x", is_folder=False)


def test_there_is_nothing_to_do_for_the_root_of_any_library() -> None:
    routing = Routing((Route("lycee", "a/", "b~1:"),))

    assert routing.target("lycee", "a/") is None
    assert routing.folder_above("b~1:/x") is None


def test_a_path_or_an_id_begins_with_the_alias_of_its_library() -> None:
    names = ["a/b.txt", "01ABC", "", "b~1:/a/b.txt", "b~1:01ABC", "b~1:"]
    assert [split_library(name) for name in names] == [
        *[("", "a/b.txt"), ("", "01ABC"), ("", "")],
        *[("b~1", "a/b.txt"), ("b~1", "01ABC"), ("b~1", "")],
    ]
