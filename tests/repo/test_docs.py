"""The pages agree with the tree: links lead somewhere, and what they name exists. Their commands are run by test_docs_commands.py."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import PurePosixPath

import click
import pytest
from repo.markdown import ROOT, Block, Page, pages, tree

from sharepoint_proxy import environment, routes, tables
from sharepoint_proxy.settings import VARIABLES, SitePath

PAGES = pages()
BLOCKS = [block for page in PAGES for block in page.blocks()]
SHELL_BLOCKS = [block for block in BLOCKS if block.language == "sh"]
FILES = tree()
FOLDERS = {str(folder) for name in FILES for folder in PurePosixPath(name).parents}

LANGUAGES = {"http", "ini", "json", "mermaid", "powershell", "promql", "sh", "text", "toml", "yaml"}

# What looks like a setting: words in capitals, joined by underscores.
NAME = re.compile(r"(?<![\w.$%/-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?!\w)")
OF_MINIO = re.compile(
    r"MINIO_NOTIFY_(WEBHOOK_(ENABLE|ENDPOINT|AUTH_TOKEN|QUEUE_DIR|QUEUE_LIMIT)|KAFKA_(ENABLE|BROKERS|TOPIC|QUEUE_DIR|BATCH_SIZE"
    r"|TLS|SASL|SASL_MECHANISM|SASL_USERNAME|SASL_PASSWORD|CLIENT_TLS_CERT|CLIENT_TLS_KEY))_SHAREPOINT"
)
OF_OTHERS = {
    "COMPOSE_FILE": "of docker compose",
    "KAFKA_TEST_BROKERS": "of the tests",
    "SASL_PLAINTEXT": "a word of Kafka's",
    "SASL_SSL": "a word of Kafka's",
    "MINIO_API_SYNC_EVENTS": "of MinIO",
    "RESTORE_ACCESS_KEY": "of one command of the console",
    "RESTORE_SECRET_KEY": "of one command of the console",
    "SITE_ID": "a stand-in in an example",
}
# What differs each time in a sentence of the service, and what holds it together with a sentence of Microsoft's.
DIFFERS = re.compile(r"\.\.\.|https://\S+|AADSTS\d+|[\"():]|\b\d+\b")
PROGRAMS = ("sharepoint-proxy", "scripts/cli")
SHELL_WORDS = {"|", "||", "&&", ";", ">", "<"}


def names_of(page: Page) -> set[str]:
    """The names in capitals on PAGE."""
    return set(NAME.findall(page.text))


def settings() -> set[str]:
    """Every variable that the service, compose or a script reads."""
    service = {variable.name for variable in VARIABLES.values()}
    files = {f"{variable.name}_FILE" for variable in VARIABLES.values() if variable.secret}
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("docker-compose.yml", "docker-compose.kafka.yml")]
    return service | files | {name for text in texts for name in re.findall(r"\$\{([A-Z_]+)", text)}


def where(block: Block) -> str:
    """BLOCK as a test's id."""
    return f"{block.name}:{block.line}"


def by_name(page: Page) -> str:
    """PAGE as a test's id."""
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Page) -> None:
    anchors = {other.name: other.anchors() for other in PAGES}
    broken = []
    for link in page.links():
        path, anchor = destination(page, link)
        is_there = path in FILES or path in FOLDERS
        if not is_there or (anchor and anchor not in anchors.get(path, ())):
            broken.append(link)
    assert broken == []


def destination(page: Page, link: str) -> tuple[str, str]:
    """The file that LINK leads to from PAGE, by its path from the root, and the heading in it; another site is the root itself."""
    target, _, anchor = link.partition("#")
    if re.match(r"[a-z]+:", target):
        return ".", ""
    return os.path.normpath(PurePosixPath(page.name).parent / target) if target else page.name, anchor


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_a_link_to_elsewhere_is_encrypted(page: Page) -> None:
    here = ("http://127.0.0.1:", "http://localhost:")
    assert [link for link in page.links() if link.startswith("http:") and not link.startswith(here)] == []


def test_every_page_can_be_reached_from_the_first() -> None:
    found = {"README.md"}
    while new := {linked for page in PAGES if page.name in found for linked in linked_pages(page)} - found:
        found |= new
    assert {page.name for page in PAGES} - found == set()


def linked_pages(page: Page) -> Iterator[str]:
    """The pages that PAGE links to, by name."""
    for link in page.links():
        path, _ = destination(page, link)
        yield from (other.name for other in PAGES if path in {other.name, str(PurePosixPath(other.name).parent)})


def test_every_page_that_the_program_names_exists() -> None:
    folders = ("sharepoint-proxy/", "scripts/", "docker-compose.yml", ".env.example")
    texts = {
        name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in FILES if name.startswith(folders)
    }
    named = {
        (name, page) for name, text in texts.items() for page in re.findall(r"\b(?:docs|certs)/[\w./-]+\.md", text)
    }
    assert {(name, page) for name, page in named if page not in FILES} == set()


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_script_that_is_named_exists(page: Page) -> None:
    scripts = set(re.findall(r"(?<![\w/-])scripts/([a-z][a-z-]*)", page.text))
    assert {name for name in scripts if not os.access(ROOT / "scripts" / name, os.X_OK)} == set()


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_setting_that_is_named_exists(page: Page) -> None:
    known = settings() | OF_OTHERS.keys()
    assert {name for name in names_of(page) - known if not OF_MINIO.fullmatch(name)} == set()


def test_no_exception_is_kept_that_no_page_needs() -> None:
    named = {name for page in PAGES for name in names_of(page)}
    assert OF_OTHERS.keys() - named == set()
    assert OF_OTHERS.keys() & settings() == set()


def test_every_setting_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    missing = [name for name in settings() if not re.search(rf"^#?{name}=", example, re.MULTILINE)]
    # MinIO needs these two secrets as well, and has no _FILE for them.
    assert set(missing) <= {"WEBHOOK_SECRET_FILE", "MINIO_ACCESS_KEY_FILE", "MINIO_SECRET_KEY_FILE"}


def test_the_example_is_understood_and_shows_the_defaults() -> None:
    """Also where the # in front of a default is taken away."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    given = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z_]+=", line))
    shown = dict(line[1:].split("=", 1) for line in text.splitlines() if re.match(r"#[A-Z_]+=", line))

    plain, full = environment.read(given), environment.read({**given, **shown})

    assert plain.problems == full.problems == ()
    assert full.settings == plain.settings
    assert all("still has the value of .env.example" in warning for warning in full.warnings), full.warnings


@pytest.mark.parametrize("block", BLOCKS, ids=where)
def test_a_piece_of_code_names_its_language(block: Block) -> None:
    assert block.language in LANGUAGES


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=where)
def test_a_piece_of_shell_is_shell(block: Block) -> None:
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "json"], ids=where)
def test_a_piece_of_json_is_json(block: Block) -> None:
    assert all(json.loads(line) for line in block.text.splitlines())


@pytest.mark.parametrize("block", [block for block in BLOCKS if "[[route]]" in block.text], ids=where)
def test_routes_that_are_shown_are_taken(block: Block) -> None:
    site = SitePath(host="contoso.sharepoint.com", relative_path="/sites/team")
    assert routes.parse(block.text, name=block.name, site=site, library=None).warnings == ()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "http"], ids=where)
def test_a_request_that_is_shown_is_well_formed(block: Block) -> None:
    head, _, body = block.text.partition("\n\n")
    assert re.match(r"(GET|POST) https://\S+(\nContent-Type: application/json)?\s*\Z", head)
    assert head.startswith("GET") or json.loads(body)["roles"] == ["write"]


def test_the_tables_of_the_journal_are_those_of_the_architecture() -> None:
    (page,) = (page for page in PAGES if page.name == "docs/architecture.md")
    section = page.text.partition("\n## The journal\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(
        re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", tables.SCHEMA)
    )


def sentences(page: Page) -> Iterator[str]:
    """What the tables of PAGE say that the service says; "..." stands for what differs each time."""
    heads = {"it says", "il dit", "reason"}
    for table in re.findall(r"^\|.*(?:\n\|.*)*", page.text, re.MULTILINE):
        head, _, *rows = (line.strip("| ").split(" | ")[0] for line in table.splitlines())
        yield from (span for row in rows if head in heads for span in re.findall("`([^`]+)`", row))


def spoken() -> str:
    """Every sentence of the service, its scripts and the simulated Microsoft, as the programs hold them."""
    folders = ("sharepoint-proxy/sharepoint_proxy/", "scripts/", "tests/simulator/", "docker-compose.yml")
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in FILES if name.startswith(folders)]
    # One sentence may be several literals.
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(texts)).replace('\\"', '"')


@pytest.mark.parametrize("page", [page for page in PAGES if any(sentences(page))], ids=by_name)
def test_what_the_service_is_said_to_say_it_says(page: Page) -> None:
    said = spoken()
    parts = [part for sentence in sentences(page) for part in re.split(DIFFERS, sentence)]
    assert [part for part in parts if part.strip(" .,:") not in said] == []


@pytest.fixture(scope="module")
def console() -> click.Group:
    """The commands of the console, once there are any."""
    group = pytest.importorskip("sharepoint_proxy.cli", reason="there is no console yet").console
    assert isinstance(group, click.Group)
    return group


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of each call of the console in TEXT, a line of shell or a piece of code within a sentence."""
    words = shlex.split(text, comments=True)
    for at, (before, word) in enumerate(pairwise(["", *words])):
        arguments = list(takewhile(lambda argument: argument not in SHELL_WORDS, words[at + 1 :]))
        is_called = word in PROGRAMS and before in {"", "sharepoint-proxy", *SHELL_WORDS}
        if is_called and arguments and arguments[0] not in {"COMMAND", "sharepoint-proxy"}:
            yield arguments


def refusal(console: click.Group, arguments: list[str]) -> str:
    """Why the console would refuse ARGUMENTS, "" if it would not; nothing is run."""
    try:
        context = console.make_context("sharepoint-proxy", list(arguments))
        name, command, rest = console.resolve_command(context, [*context._protected_args, *context.args])
        if command is not None:
            command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return ""
    except click.ClickException as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=where)
def test_a_call_of_the_console_is_one_that_it_takes(block: Block, console: click.Group) -> None:
    made = [call for command in block.commands for call in calls(command)]
    assert {" ".join(call): why for call in made if (why := refusal(console, call))} == {}


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_a_command_of_the_console_that_is_named_exists(page: Page, console: click.Group) -> None:
    for span in page.spans():
        for name, *options in calls(span) if any(program in span for program in PROGRAMS) else ():
            if name.startswith("-"):
                continue
            assert name in console.commands, span
            known = {option for parameter in console.commands[name].params for option in parameter.opts} | {"--help"}
            assert {option for option in options if option.startswith("-")} <= known, span


def test_every_command_of_the_console_is_explained(console: click.Group) -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = " ".join(re.findall(r"^\| ((?:\[?`[a-z]+`\S*(?:, )?)+) \|", operations, re.MULTILINE))
    assert {name for name in console.commands if f"`{name}`" not in table} == set()
