"""scripts/configure-minio, run by a real shell against a client that behaves like mc (fake_mc.py)."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sharepoint_proxy.routes import parse
from sharepoint_proxy.settings import SitePath

SCRIPT = Path(__file__).parents[2] / "scripts" / "configure-minio"
FAKE_MC = Path(__file__).with_name("fake_mc.py")
ARN = "arn:minio:sqs::SHAREPOINT:webhook"
SETTINGS = {
    "MINIO_BUCKETS": "lycee",
    "ALLOWED_PREFIXES": "administration/,bts-sio/",
    "MINIO_ACCESS_KEY": "reader",
    "MINIO_SECRET_KEY": "p:ss w@rd/$HOME%41",
}


@dataclass(frozen=True, slots=True)
class Site:
    """A directory laid out like the project, whose mc talks to a server that is a file."""

    root: Path

    @property
    def server(self) -> dict[str, Any]:
        """What the server holds now."""
        held: dict[str, Any] = json.loads((self.root / "server.json").read_text())
        return held

    def change(self, **values: object) -> None:
        """Replace parts of what the server holds."""
        (self.root / "server.json").write_text(json.dumps({**self.server, **values}))

    def prefixes(self, bucket: str = "lycee") -> list[str]:
        """The prefixes of the bucket's event rules, in the order in which they were added."""
        return [rule["prefix"] for rule in self.server["buckets"][f"site/{bucket}"]]

    def run(
        self, settings: Mapping[str, str] = SETTINGS, *, alias: str = "site", interpreter: str = "sh"
    ) -> subprocess.CompletedProcess[str]:
        """Run the script as the client's image would: only the shell and mc can be found."""
        return subprocess.run(
            [
                shutil.which(interpreter) or interpreter,
                str(self.root / "scripts" / "configure-minio"),
                *([alias] if alias else []),
            ],
            env={"PATH": str(self.root / "bin"), **settings},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for folder in ("bin", "scripts"):
        (tmp_path / folder).mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    client = tmp_path / "bin" / "mc"
    client.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_MC}" "{tmp_path}/server.json" "$@"\n')
    client.chmod(0o755)
    empty: dict[str, object] = {"calls": [], "aliases": {}, "buckets": {}, "policies": {}, "users": {}}
    (tmp_path / "server.json").write_text(
        json.dumps({"arns": ["arn:minio:sqs::OTHER:kafka", ARN], "down": False, **empty})
    )
    return Site(root=tmp_path)


def test_it_makes_the_bucket_with_one_rule_for_each_prefix(site: Site) -> None:
    done = site.run()

    assert done.returncode == 0, done.stderr
    assert site.server["buckets"] == {
        "site/lycee": [
            {"arn": ARN, "event": "put,delete", "prefix": "administration/"},
            {"arn": ARN, "event": "put,delete", "prefix": "bts-sio/"},
        ]
    }


def test_it_runs_under_bash_too_which_is_the_sh_of_the_clients_image(site: Site) -> None:
    if shutil.which("bash") is None:
        pytest.skip("this machine has no bash")
    (site.root / ".env").write_text("ALLOWED_PREFIXES=' a/=A/, b/'\n")
    done = site.run({**SETTINGS, "ALLOWED_PREFIXES": ""}, interpreter="bash")

    assert done.returncode == 0, done.stderr
    assert site.prefixes() == ["a/", "b/"]


@pytest.mark.parametrize(
    ("allowed", "prefixes"),
    [
        ("administration/,bts-sio/,archives/2024/=Archives/2024/", ["administration/", "bts-sio/", "archives/2024/"]),
        (" administration , Salle des profs/ = Salle ,,", ["administration/", "Salle des profs/"]),
        ("*", [""]),
        ("* = Tout, été/", ["", "été/"]),
    ],
)
def test_it_reads_prefixes_as_the_proxy_does(site: Site, allowed: str, prefixes: list[str]) -> None:
    done = site.run({**SETTINGS, "ALLOWED_PREFIXES": allowed})

    assert done.returncode == 0, done.stderr
    assert site.prefixes() == prefixes


def test_it_prepares_every_bucket(site: Site) -> None:
    done = site.run({**SETTINGS, "MINIO_BUCKETS": "lycee, college"})

    assert done.returncode == 0, done.stderr
    assert site.prefixes("lycee") == site.prefixes("college") == ["administration/", "bts-sio/"]
    (statement,) = [
        part for part in site.server["policies"]["sharepoint-proxy"]["Statement"] if "s3:GetObject" in part["Action"]
    ]
    assert statement["Resource"] == ["arn:aws:s3:::lycee/*", "arn:aws:s3:::college/*"]


ROUTES = """
# Where the files of the school go.
[[route]]
bucket = "lycee"          # the students'
prefix = "administration/"
\texclude = ["**/*.tmp", "bucket = 'x'"]

[[route]] # the old ones
delete = false
prefix='archives/2024'
bucket='lycee'
[[route]]
bucket = "compta"
prefix = "Salle des profs/$HOME `x`"
site = "contoso.sharepoint.com:/sites/compta"
[[route]]
bucket = "photos"\r
"""


def with_routes(site: Site, text: str, *, name: str = "routes.toml") -> dict[str, str]:
    """Settings whose file of routes holds TEXT; it lies beside .env, and has another path in a container."""
    (site.root / name).write_text(text, encoding="utf-8", newline="")
    return {**SETTINGS, "ROUTES_FILE": f"/{name}"}


@pytest.mark.parametrize("interpreter", ["sh", "bash"])
def test_it_makes_the_buckets_and_rules_of_all_routes(site: Site, interpreter: str) -> None:
    if shutil.which(interpreter) is None:
        pytest.skip(f"this machine has no {interpreter}")
    done = site.run(with_routes(site, ROUTES), interpreter=interpreter)

    assert done.returncode == 0, done.stderr
    assert {bucket: site.prefixes(bucket) for bucket in ("lycee", "compta", "photos")} == {
        "lycee": ["administration/", "archives/2024/"],
        "compta": ["Salle des profs/$HOME `x`/"],
        "photos": [""],
    }
    assert len(site.server["buckets"]) == 3
    (statement,) = [
        part for part in site.server["policies"]["sharepoint-proxy"]["Statement"] if "s3:GetObject" in part["Action"]
    ]
    assert statement["Resource"] == [f"arn:aws:s3:::{bucket}/*" for bucket in ("lycee", "compta", "photos")]


def test_it_reads_routes_as_the_proxy_does(site: Site) -> None:
    site.run(with_routes(site, ROUTES))
    host = SitePath(host="contoso.sharepoint.com", relative_path="/sites/team")
    routes = parse(ROUTES, name="routes.toml", site=host, library=None).routing.routes

    assert [(route.bucket, route.prefix) for route in routes] == [
        (bucket, prefix) for bucket in ("lycee", "compta", "photos") for prefix in site.prefixes(bucket)
    ]


def test_the_file_of_routes_may_be_named_by_its_path(site: Site) -> None:
    settings = with_routes(site, ROUTES, name="elsewhere.toml") | {"ROUTES_FILE": str(site.root / "elsewhere.toml")}
    assert site.run(settings).returncode == 0
    assert "site/photos" in site.server["buckets"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing is to be mirrored"),
        ('bucket = "lycee"', "line 1: here [[route]] is expected"),
        ('[route]\nbucket = "lycee"', "line 1: here [[route]] is expected"),
        ('[[route]]\nprefix = "a"\n', "line 1: the route names no bucket"),
        ("[[route]]\nbucket = lycee", "line 2: write bucket in quotes"),
        ('[[route]]\nbucket = "lycee', "line 2: write bucket in quotes"),
        ('[[route]]\nbucket = "Lycee"', "line 2: Lycee is no bucket's name"),
        ('[[route]]\nbucket = "lycee" "x"', "line 2: something follows the quotes of bucket"),
        ('[[route]]\nbucket = """lycee"""', "line 2: a text in three quotes is not understood here"),
        (
            '[[route]]\nprefix = "\\u00e9t\\u00e9"',
            "line 2: a backslash is not understood here; write prefix in single quotes",
        ),
        (
            '[[route]]\nbucket = "lycee"\nexclude = [\n"*.tmp",\n]',
            "line 4: here [[route]] is expected, or after it a key",
        ),
        ('[[route]]\n"bucket" = "lycee"', "line 2: here [[route]] is expected, or after it a key"),
        ('[[route]]\nbukcet = "lycee"', "line 2: here [[route]] is expected, or after it a key"),
        ('[[route]]\nbucket = "lycee"\n[other]', "line 3: here [[route]] is expected"),
    ],
)
def test_routes_that_it_does_not_understand_are_refused_before_anything_is_changed(
    site: Site, text: str, said: str
) -> None:
    done = site.run(with_routes(site, text))

    assert done.returncode == 2
    assert said in done.stderr
    assert site.server["calls"] == []


def test_a_file_of_routes_that_is_not_there_is_told(site: Site) -> None:
    done = site.run({**SETTINGS, "ROUTES_FILE": "/config/routes.toml"})

    assert done.returncode == 2
    assert "ROUTES_FILE /config/routes.toml is no file here, and neither is routes.toml beside .env." in done.stderr


def test_a_second_run_changes_nothing(site: Site) -> None:
    site.run()
    before = {**site.server, "calls": None}
    again = site.run()

    assert again.returncode == 0, again.stderr
    assert {**site.server, "calls": None} == before


def test_a_changed_password_reaches_the_user(site: Site) -> None:
    site.run()
    site.run({**SETTINGS, "MINIO_SECRET_KEY": "another word"})

    assert site.server["users"] == {"reader": {"password": "another word", "policies": ["sharepoint-proxy"]}}


def test_the_proxys_user_can_only_read(site: Site) -> None:
    site.run()

    assert site.server["users"] == {
        "reader": {"password": SETTINGS["MINIO_SECRET_KEY"], "policies": ["sharepoint-proxy"]}
    }
    actions = [action for part in site.server["policies"]["sharepoint-proxy"]["Statement"] for action in part["Action"]]
    assert {
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:GetBucketLocation",
        "s3:GetBucketVersioning",
        "s3:GetBucketNotification",
    } <= set(actions)
    assert all(action.startswith(("s3:Get", "s3:List")) for action in actions)


@pytest.mark.parametrize("root", [{}, {"MINIO_ROOT_USER": "reader"}])
def test_without_a_user_of_its_own_the_proxy_stays_administrator_and_is_told(site: Site, root: dict[str, str]) -> None:
    settings = {**SETTINGS, **(root or {"MINIO_ACCESS_KEY": "", "MINIO_SECRET_KEY": ""})}
    done = site.run(settings)

    assert done.returncode == 0, done.stderr
    assert site.server["users"] == {}
    assert "A read-only user is safer." in done.stderr


def test_it_makes_its_own_alias_from_the_root_user(site: Site) -> None:
    root = {"MINIO_ENDPOINT": "http://minio:9000", "MINIO_ROOT_USER": "root", "MINIO_ROOT_PASSWORD": "a:b@c/d%41"}
    done = site.run({**SETTINGS, **root}, alias="")

    assert done.returncode == 0, done.stderr
    assert site.server["aliases"] == {"mirror": ["http://minio:9000", "root", "a:b@c/d%41"]}


def test_no_secret_is_an_argument_or_printed(site: Site) -> None:
    root = {"MINIO_ENDPOINT": "http://minio:9000", "MINIO_ROOT_USER": "root", "MINIO_ROOT_PASSWORD": "rootsecret"}
    done = site.run({**SETTINGS, **root}, alias="")

    seen = json.dumps(site.server["calls"]) + done.stdout + done.stderr
    assert SETTINGS["MINIO_SECRET_KEY"] not in seen
    assert "rootsecret" not in seen


def test_it_names_the_target_with_the_servers_region(site: Site) -> None:
    site.change(arns=["arn:minio:sqs:eu-west-3:SHAREPOINT:webhook", "arn:minio:sqs:eu-west-3:OTHER:webhook"])
    done = site.run()

    assert done.returncode == 0, done.stderr
    assert {rule["arn"] for rule in site.server["buckets"]["site/lycee"]} == {
        "arn:minio:sqs:eu-west-3:SHAREPOINT:webhook"
    }


def test_it_reads_the_env_file_and_the_environment_wins(site: Site) -> None:
    (site.root / ".env").write_text(
        "ROUTES_FILE= # none\n# MINIO_BUCKETS=commented\nMINIO_BUCKETS=college\nALLOWED_PREFIXES='a/, b c/' # two\nTENANT_ID=$(exit 3)\n"
        'MINIO_ACCESS_KEY="reader"\r\nMINIO_SECRET_KEY=one=two#three # a comment'
    )
    done = site.run({"MINIO_BUCKETS": "lycee"})

    assert done.returncode == 0, done.stderr
    assert list(site.server["buckets"]) == ["site/lycee"]
    assert site.prefixes() == ["a/", "b c/"]
    assert site.server["users"]["reader"]["password"] == "one=two#three"


def test_with_brokers_the_rules_are_for_kafka(site: Site) -> None:
    site.change(arns=[ARN, "arn:minio:sqs::SHAREPOINT:kafka"])
    done = site.run({**SETTINGS, "KAFKA_BROKERS": "kafka:9092"})

    assert done.returncode == 0, done.stderr
    assert {rule["arn"] for rule in site.server["buckets"]["site/lycee"]} == {"arn:minio:sqs::SHAREPOINT:kafka"}


@pytest.mark.parametrize(
    ("change", "settings", "sentence"),
    [
        ({}, {"KAFKA_BROKERS": "kafka:9092"}, "MinIO has no Kafka target SHAREPOINT."),
        ({}, {"ALLOWED_PREFIXES": ""}, "ALLOWED_PREFIXES is missing."),
        ({}, {"MINIO_SECRET_KEY": ""}, "MINIO_SECRET_KEY is missing: MINIO_ACCESS_KEY is set"),
        ({"arns": ["arn:minio:sqs::OTHER:webhook"]}, {}, "MinIO has no webhook target SHAREPOINT."),
        ({"down": True}, {}, "is site an administrator's alias of a running MinIO?"),
    ],
)
def test_it_stops_before_it_changes_anything_and_says_what_to_do(
    site: Site, change: dict[str, object], settings: dict[str, str], sentence: str
) -> None:
    site.change(**change)
    done = site.run({**SETTINGS, **settings})

    assert done.returncode == 2
    assert sentence in done.stderr
    assert site.server["buckets"] == site.server["users"] == {}


def test_without_an_alias_or_a_root_user_it_says_so(site: Site) -> None:
    done = site.run(alias="")

    assert done.returncode == 2
    assert "name an alias of mc, or set MINIO_ENDPOINT" in done.stderr
