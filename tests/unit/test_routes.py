"""The file of routes: what it means, and for everything that is wrong in it a sentence with the line and the key."""

from textwrap import dedent

import pytest

from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.paths import Route, split_library
from sharepoint_proxy.routes import Routes, parse
from sharepoint_proxy.settings import SitePath, parse_site

TEAM = parse_site("contoso.sharepoint.com:/sites/team")
FILE = "/routes.toml"


def routes(text: str, *, site: SitePath | None = TEAM, library: str | None = None) -> Routes:
    """What TEXT asks for."""
    return parse(dedent(text), name=FILE, site=site, library=library)


def problems(text: str, *, site: SitePath | None = TEAM) -> list[str]:
    """What is wrong with TEXT, without what each sentence begins with."""
    with pytest.raises(ConfigError) as caught:
        routes(text, site=site)
    beginning = f"ROUTES_FILE {FILE}, "
    assert [each for each in caught.value.problems if not (each.startswith(beginning) and each.endswith("."))] == []
    return [each.removeprefix(beginning).removesuffix(".") for each in caught.value.problems]


def one_route(line: str) -> str:
    """A file with one route in which LINE is the third."""
    return f'[[route]]\nbucket = "lycee"\n{line}\n'


def test_a_bucket_is_all_that_a_route_needs() -> None:
    found = routes('[[route]]\nbucket = "lycee"')

    assert found.routing.routes == (Route("lycee", "", ""),)
    assert [(each.alias, each.site, each.library) for each in found.destinations] == [("", TEAM, None)]


def test_every_key_is_understood() -> None:
    found = routes("""
        [[route]]
        bucket = "lycee"
        prefix = "comptabilité"
        site = "https://contoso.sharepoint.com/sites/compta"
        library = "Factures"
        folder = "Reçues/2026/"
        include = ["**/*.pdf"]
        exclude = ["**/*.tmp", "~$*"]
        delete = false
    """)
    (route,), (destination,) = found.routing.routes, found.destinations

    assert (destination.site, destination.library) == (
        parse_site("contoso.sharepoint.com:/sites/compta"),
        "Factures",
    )
    assert route == Route(
        "lycee",
        "comptabilité/",
        f"{destination.alias}:/Reçues/2026",
        include=("**/*.pdf",),
        exclude=("**/*.tmp", "~$*"),
        keeps_files=True,
    )


@pytest.mark.parametrize(
    ("lines", "prefix", "folder"),
    [
        ('prefix = "a"', "a/", "a"),
        ('prefix = "a/b/"', "a/b/", "a/b"),
        ('prefix = ""', "", ""),
        ('prefix = "*"', "", ""),
        ('prefix = "con/x"', "con/x/", "\u201b63on/x"),
        ('prefix = "a"\nfolder = "/"', "a/", ""),
        ('folder = "X"', "", "X"),
        ('prefix = "a"\nfolder = "X/Y"', "a/", "X/Y"),
    ],
)
def test_the_prefix_is_the_folder_unless_another_is_named(lines: str, prefix: str, folder: str) -> None:
    (route,) = routes(one_route(lines)).routing.routes
    assert (route.prefix, route.folder) == (prefix, folder)


def test_a_route_with_neither_site_nor_library_goes_where_the_settings_say() -> None:
    assert [str(each) for each in routes(one_route(""), library="Archives").destinations] == [
        'the library "Archives" of contoso.sharepoint.com:/sites/team'
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('library = "Plans"', 'the library "Plans" of contoso.sharepoint.com:/sites/team'),
        ('site = "contoso.sharepoint.com:/sites/team"', 'the library "Archives" of contoso.sharepoint.com:/sites/team'),
        ('site = "contoso.sharepoint.com:/sites/x"', "the default library of contoso.sharepoint.com:/sites/x"),
    ],
)
def test_a_library_of_the_settings_belongs_to_their_site(line: str, said: str) -> None:
    assert [str(each) for each in routes(one_route(line), library="Archives").destinations] == [said]


SEVERAL = """
    [[route]]
    bucket = "aaa"
    site = "contoso.sharepoint.com:/sites/compta"
    library = "Factures"
    [[route]]
    bucket = "bbb"
    [[route]]
    bucket = "ccc"
    site = "contoso.sharepoint.com:/Sites/Compta"
    library = "FACTURES"
    [[route]]
    bucket = "ddd"
    site = "contoso.sharepoint.com:/teams/compta"
    library = "Factures"
"""


def test_the_main_library_has_no_alias_and_comes_first() -> None:
    found = routes(SEVERAL)

    assert found.destinations[0].alias == ""
    assert found.destinations[0].site == TEAM
    assert [split_library(route.folder)[0] == "" for route in found.routing.routes] == [False, True, False, False]


def test_one_library_has_one_alias_however_it_is_spelt_and_another_has_another() -> None:
    aliases = [split_library(route.folder)[0] for route in routes(SEVERAL).routing.routes]

    assert aliases[0] == aliases[2] != aliases[3]
    assert all(alias.startswith("compta~factures~") for alias in (aliases[0], aliases[3]))


def test_an_alias_depends_on_nothing_but_the_names_of_site_and_library() -> None:
    """Stored paths and ids begin with it."""
    before = routes(SEVERAL).routing.routes[0].folder
    alone = routes(one_route('site = "contoso.sharepoint.com:/sites/compta"\nlibrary = "Factures"'))

    assert alone.routing.routes[0].folder == before == "compta~factures~153958:"


def test_without_a_site_in_the_settings_the_first_routes_library_is_the_main_one() -> None:
    text = '[[route]]\nbucket = "aaa"\nsite = "c.x:/sites/one"\n[[route]]\nbucket = "bbb"\nsite = "c.x:/sites/two"'
    found = routes(text, site=None)

    assert found.routing.routes[0].folder == ""
    assert found.routing.routes[1].folder.startswith("two~")


def test_a_library_of_the_settings_that_no_route_leads_to_is_not_needed() -> None:
    found = routes(one_route('site = "contoso.sharepoint.com:/sites/x"'))
    assert [bool(each.alias) for each in found.destinations] == [True]


def test_routes_that_share_a_folder_are_a_warning() -> None:
    text = '[[route]]\nbucket = "aaa"\nfolder = "X"\n[[route]]\nbucket = "bbb"\nfolder = "x"\n[[route]]\nbucket = "ccc"'
    (warning,) = routes(text).warnings
    assert warning.startswith(f"ROUTES_FILE {FILE}: aaa/ and bbb/ share the folder x:")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bukcet = 5", "line 3, bukcet: there is no such key; did you mean bucket?"),
        (
            "zzz = 5",
            "line 3, zzz: there is no such key; there are bucket, prefix, site, library, folder, include, exclude, delete",
        ),
        ("prefix = 5", "line 3, prefix: 5 cannot be used: it must be a text in quotes"),
        ('prefix = "/a"', "line 3, prefix: '/a' begins with a slash, and no key does; leave it out"),
        ('prefix = "a//b"', "two slashes in a row"),
        ('prefix = "a/../b"', "'.' or '..'"),
        ('prefix = "a*"', "has * beside something else"),
        ('prefix = "a\\\\b"', "holds a backslash"),
        ('prefix = "a\\nb"', "one line, without control characters"),
        ('folder = ""', "line 3, folder: '' cannot be used: write \"/\" for the library's root"),
        ('folder = "a:b"', "line 3, folder: 'a:b' names a folder 'a:b', and SharePoint refuses ':' there"),
        ('folder = "forms"', "SharePoint keeps for itself"),
        ('folder = "a//b"', "a slash too many"),
        (f'folder = "{"x" * 256}"', "more than 255 characters"),
        ('site = "team"', "line 3, site: 'team' cannot be used: it must be a site, like contoso"),
        ('library = "a/b"', "line 3, library: 'a/b' cannot be used: it must be one library's name"),
        ('include = "*.pdf"', "line 3, include: '*.pdf' cannot be used: it must be a list of texts"),
        ("include = []", "line 3, include: the list is empty"),
        ('exclude = ["a", 5]', "line 3, exclude: ['a', 5] cannot be used: it must be a list of texts"),
        ('exclude = ["/a"]', "line 3, exclude: '/a' matches no key"),
        ('exclude = [""]', "line 3, exclude: '' matches no key"),
        ('delete = "false"', "line 3, delete: 'false' cannot be used: it must be true or false, without quotes"),
        ("delete = 0", "line 3, delete: 0 cannot be used"),
    ],
)
def test_what_is_wrong_in_a_route_is_one_sentence_with_line_and_key(line: str, said: str) -> None:
    (problem,) = problems(one_route(line))

    assert problem.startswith("line 3, ")
    assert said in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: the file holds no route; begin one with [[route]]"),
        ("# nothing", "line 1: the file holds no route"),
        ('[[route]]\nprefix = "a"', "line 1, bucket: it is missing"),
        ('[[route]]\nbucket = "Lycee"', "line 2, bucket: 'Lycee' cannot be used: it must be a bucket's name"),
        ('[[route]]\nbucket = "a,b"', "line 2, bucket: 'a,b' cannot be used"),
        ('\n[route]\nbucket = "lycee"', "line 2, route: a route begins with [[route]], in two pairs of brackets"),
        ('[[routes]]\nbucket = "lycee"', "line 1, routes: there is no such key"),
        (
            'bucket = "lycee"',
            "line 1, bucket: there is no such key; routes begin with [[route]], and their keys follow",
        ),
        ('[[route]]\nbucket = "lycee\nprefix = ""', "line 2: this is no TOML: Illegal character '\\n', at column 16"),
        ('[[route]]\nbucket = "one"\nbucket = "two"', "line 3: this is no TOML: Cannot overwrite a value"),
        ('[[route]]\nbucket = ["\n', "line 2: this is no TOML: "),
        (
            '[[route]]\nbucket = "lycee"\nprefix = "a"\n\n[[route]]\nbucket = "lycee"\nprefix = "a/"',
            "line 7, prefix: 'a/' of lycee has a route at line 1; keep one",
        ),
    ],
)
def test_what_is_wrong_with_the_file_is_one_sentence_with_the_line(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(said)


def test_a_route_without_a_site_needs_one_in_the_settings() -> None:
    (problem,) = problems('\n\n[[route]]\nbucket = "lycee"', site=None)
    assert problem == "line 3, site: it is missing, and SITE_PATH is not set: name the site"


def test_every_problem_is_told_at_once() -> None:
    text = """
        # A comment, so that nothing begins in the first line.
        [[route]]
        bucket = "A"
        prefix = "/x"

        [[ route ]]  # the second
        "delete" = 1
        exclude = [
            "/a",
        ]

        [other]
        key = 1
    """
    assert [problem.rpartition(": ")[0].split(":")[0] for problem in problems(text)] == [
        "line 13, other",
        "line 4, bucket",
        "line 5, prefix",
        "line 7, bucket",
        "line 9, exclude",
        "line 8, delete",
    ]


def test_routes_that_are_not_written_as_tables_are_counted() -> None:
    (problem,) = problems('route = [{bucket = "aaa"}, {bucket = "bbb", delete = 5}]')
    assert problem.startswith("route 2, delete: ")
