"""The commands of the pages are run. Every piece of shell on a page is a part of a walk, or listed with the reason why it cannot be run here."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from repo.markdown import pages
from repo.walks import PERMISSION_ID, PFX_PASSWORD, Recorder, Site, Walk, make_site, recording

from sharepoint_proxy import certificate
from simulator import tls
from simulator.stage import Stage

BLOCKS = [block for page in pages() for block in page.blocks("sh")]
PIECES = Counter((block.name, block.first_line) for block in BLOCKS)
TOKEN = "a-token-from-graph-explorer"
SITE_ID = "contoso.sharepoint.com,11111111-1111-1111-1111-111111111111,22222222-2222-2222-2222-222222222222"

IN_CI = "CI runs it by itself"
DOCKER = "needs Docker, and images from the network"
MINIO = "needs MinIO's client and a server"
KAFKA = "needs Kafka's tools and brokers"
MACHINE = "changes the machine itself"
LASTS = "runs for minutes, or until it is stopped"

NOT_RUN = {
    "README.md": {
        "scripts/demo": IN_CI,
        "scripts/test": IN_CI,
        "docker compose up -d --build": DOCKER,
        "docker compose run --rm --entrypoint /bin/sh minio-init -c \\": DOCKER,
        "set -a; . ./.env; set +a": LASTS,
    },
    "certs/README.md": {"sudo chown 10001 certs/app.key": MACHINE},
    "docs/demarrage.fr.md": {
        "scripts/demo": IN_CI,
        "sudo chown 10001 certs/app.key": MACHINE,
        "docker compose up -d --build": DOCKER,
    },
    "docs/docker.md": {
        "docker compose up -d --build": DOCKER,
        "git pull": DOCKER,
        "docker compose up -d --build --no-deps sharepoint-proxy": DOCKER,
    },
    "docs/kafka.md": {
        "docker compose -f docker-compose.yml -f docker-compose.kafka.yml up -d --build": DOCKER,
        "mc event remove myminio/lycee --force": MINIO,
        "kafka-topics.sh --bootstrap-server kafka-1:9092 --create --topic minio-events --partitions 12 --replication-factor 3": KAFKA,
        "scripts/install kafka": LASTS,
        "docker compose -f docker-compose.yml -f docker-compose.kafka.yml stop sharepoint-proxy-2": DOCKER,
        "PYTHONPATH=sharepoint-proxy:tests .venv/bin/python -m measure kafka": LASTS,
    },
    "docs/operations.md": {
        "docker compose up -d": DOCKER,
        "git pull": DOCKER,
        "docker compose stop sharepoint-proxy": DOCKER,
    },
    "docs/quickstart-minio.md": {
        "docker compose up -d --build": DOCKER,
        "sudo install --directory --owner=minio-user --group=minio-user --mode=0700 /var/lib/minio-events": MACHINE,
        "sudo systemctl restart minio": MACHINE,
        "docker compose up -d --build --no-deps sharepoint-proxy": DOCKER,
        "mc event list myminio/lycee": MINIO,
        "echo hello | mc pipe myminio/lycee/administration/note.txt": MINIO,
    },
    "docs/reliability.md": {
        "PYTHONPATH=sharepoint-proxy:tests .venv/bin/python -m measure intake": LASTS,
        "PYTHONPATH=sharepoint-proxy:tests .venv/bin/python -m measure reconcile": LASTS,
    },
    "docs/troubleshooting.md": {"docker compose ps --all": DOCKER, "mc event list myminio/lycee": MINIO},
}


def says(expected: str) -> Callable[[Site, str], None]:
    """A check that EXPECTED, a pattern, was printed."""

    def check(_: Site, said: str) -> None:
        assert re.search(expected, said), said

    return check


def has_a_pair(site: Site, _: str) -> None:
    """The service would take the pair in certs/."""
    assert pair_of(site)


def pair_of(site: Site) -> certificate.Credential:
    """The pair in certs/."""
    return certificate.load(site.certs / "app.cer", site.certs / "app.key", passphrase=None, now=datetime.now(UTC))


def shows_the_thumbprints(site: Site, said: str) -> None:
    """Both thumbprints were printed, in the form of openssl."""
    pair = pair_of(site)
    for thumbprint in (pair.thumbprint_sha1, pair.thumbprint_sha256):
        assert ":".join(re.findall("..", thumbprint)) in said


def put_a_pfx(site: Site) -> None:
    """A PFX file as another program exports it."""
    issued = tls.application()
    assert isinstance(issued.key, RSAPrivateKey)
    protection = BestAvailableEncryption(PFX_PASSWORD.encode())
    exported = pkcs12.serialize_key_and_certificates(b"app", issued.key, issued.certificate, None, protection)
    (site.root / "app.pfx").write_bytes(exported)


def opened_the_site(site: Site, _: str) -> None:
    """Graph was asked for the site, told to open it, asked who may enter, and told to close it, with the token each time."""
    permissions = f"/v1.0/sites/{SITE_ID}/permissions"
    assert [(method, path) for method, path, _, _ in site.graph.requests] == [
        ("GET", "/v1.0/sites/contoso.sharepoint.com:/sites/team?$select=id,displayName"),
        ("POST", permissions),
        ("GET", permissions),
        ("DELETE", f"{permissions}/{PERMISSION_ID}"),
    ]
    assert {authorization for _, _, authorization, _ in site.graph.requests} == {f"Bearer {TOKEN}"}
    application = {"id": "00000000-0000-0000-0000-000000000000", "displayName": "sharepoint-proxy"}
    assert json.loads(site.graph.requests[1][3]) == {
        "roles": ["write"],
        "grantedToIdentities": [{"application": application}],
    }


def prepared_minio(site: Site, _: str) -> None:
    """MinIO has the rule, and a user who can do what the proxy needs and nothing else."""
    rules = [(rule["event"], rule["prefix"]) for rule in site.minio["buckets"]["myminio/lycee"]]
    (user,) = site.minio["users"].values()
    allowed = [action for part in site.minio["policies"]["sharepoint-proxy"]["Statement"] for action in part["Action"]]

    assert ("put,delete", "administration/") in rules
    assert user["policies"] == ["sharepoint-proxy"]
    assert sorted(allowed) == [
        *("s3:GetBucketLocation", "s3:GetBucketNotification", "s3:GetBucketVersioning", "s3:GetObject"),
        *("s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions"),
    ]


def make_bucket(site: Site) -> None:
    """The bucket of a server that is already there."""
    site.change_minio(buckets={"myminio/lycee": []})


def put_note(site: Site) -> None:
    """The object that the pages speak of, mirrored."""
    site.stage.put("administration/note.txt", b"hello\n")
    site.stage.settle()


def brought_back(site: Site, _: str) -> None:
    """The file is in MinIO under another prefix too."""
    client = site.stage.minio.client()
    assert client.get_object("lycee", "restored/note.txt").read() == b"hello\n"


def touch_env(site: Site) -> None:
    """Settings to close."""
    (site.root / ".env").touch()


COPY = "cp .env.example .env"
RANDOM = "openssl rand -hex 32"
READY = "curl http://127.0.0.1:8080/ready"
SEND = "scripts/send-event lycee/administration/note.txt"
IN_CONTAINER = "docker compose exec sharepoint-proxy sharepoint-proxy"
CHECK = f"{IN_CONTAINER} check"
EXPLAIN = f"{IN_CONTAINER} explain lycee/administration/note.txt"

README = partial(Walk, page="README.md")
CERTS = partial(Walk, page="certs/README.md")
SHAREPOINT = partial(Walk, page="docs/quickstart-sharepoint.md")
IN_MINIO = partial(Walk, page="docs/quickstart-minio.md")
OPERATIONS = partial(Walk, page="docs/operations.md", prepare=put_note)
TROUBLE = partial(Walk, page="docs/troubleshooting.md", prepare=put_note)
FRENCH = partial(Walk, page="docs/demarrage.fr.md", prepare=put_note)

WALKS = [
    README(pieces=(COPY, "curl http://127.0.0.1:8080/health"), check=says('"ready":true')),
    README(
        pieces=('curl -i http://127.0.0.1:8080/s3event -H "Authorization: Bearer $WEBHOOK_SECRET" \\',),
        prepare=put_note,
        check=says("HTTP/1.1 20[24] "),
    ),
    CERTS(pieces=("scripts/make-cert",), check=has_a_pair),
    CERTS(
        pieces=(
            '(umask 077; openssl req -x509 -newkey rsa:3072 -sha256 -days 730 -nodes -subj "/CN=sharepoint-proxy" \\',
        ),
        check=shows_the_thumbprints,
    ),
    CERTS(
        pieces=("openssl pkcs12 -in app.pfx -clcerts -nokeys -out certs/app.cer",),
        prepare=put_a_pfx,
        check=has_a_pair,
    ),
    SHAREPOINT(
        pieces=("scripts/make-cert", "openssl x509 -in certs/app.cer -noout -fingerprint -sha1"),
        check=shows_the_thumbprints,
    ),
    SHAREPOINT(
        pieces=(
            "read -r TOKEN",
            f"SITE_ID={SITE_ID}",
            'graph "https://graph.microsoft.com/v1.0/sites/$SITE_ID/permissions"',
        ),
        typed=TOKEN,
        check=opened_the_site,
    ),
    SHAREPOINT(pieces=(CHECK,), check=says("All is well")),
    IN_MINIO(pieces=(COPY, RANDOM, "scripts/configure-minio myminio"), check=prepared_minio),
    IN_MINIO(
        pieces=(
            "mc admin policy create myminio sharepoint-proxy /dev/stdin <<EOF",
            "mc admin user add myminio",
            "mc event add myminio/lycee arn:minio:sqs::SHAREPOINT:webhook --event put,delete --prefix administration/ --ignore-existing",
        ),
        typed="sharepoint-proxy\na-password-of-this-user",
        prepare=make_bucket,
        check=prepared_minio,
    ),
    IN_MINIO(pieces=(SEND, CHECK), prepare=put_note, check=says("20[24]: (.|\n)*All is well")),
    OPERATIONS(pieces=(f"{IN_CONTAINER} status", CHECK, EXPLAIN), check=says("All is well")),
    OPERATIONS(
        pieces=(
            'docker compose logs --no-log-prefix --since 24h sharepoint-proxy | grep \'"level": "ERROR"\'',
            f"{IN_CONTAINER} reconcile --dry-run --prefix lycee/administration/",
            RANDOM,
            SEND,
        ),
        check=says("20[24]: "),
    ),
    OPERATIONS(pieces=("export RESTORE_ACCESS_KEY RESTORE_SECRET_KEY",), check=brought_back),
    OPERATIONS(pieces=("scripts/make-cert --as next", "mv certs/next.key certs/app.key"), check=has_a_pair),
    TROUBLE(
        pieces=(CHECK, READY, EXPLAIN, SEND, f"{IN_CONTAINER} reconcile", f"{IN_CONTAINER} status"),
        check=says('"ready":true'),
    ),
    FRENCH(pieces=("scripts/make-cert", COPY, RANDOM, READY), check=has_a_pair),
    FRENCH(
        pieces=(CHECK, EXPLAIN, f"{IN_CONTAINER} reconcile --dry-run", f"{IN_CONTAINER} parked"),
        check=says("Nothing is parked"),
    ),
    Walk(page="docs/security.md", pieces=("chmod 600 .env",), prepare=touch_env),
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One service for all walks."""
    # The service's own reconcile would be in the way of those on the pages.
    with Stage(tmp_path_factory.mktemp("stage"), settings={"RECONCILE_HOURS": "0"}) as running:
        running.begin()
        yield running


@pytest.fixture
def graph() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def site(tmp_path: Path, stage: Stage, graph: Recorder) -> Site:
    return make_site(tmp_path / "project", stage, graph)


@pytest.mark.skipif(
    not all(map(shutil.which, ("openssl", "curl"))), reason="this machine lacks openssl or curl, which the pages use"
)
@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: f"{walk.page}: {walk.pieces[0][:60]}")
def test_the_commands_of_a_page_do_what_it_says(walk: Walk, site: Site) -> None:
    walk.prepare(site)
    done = site.run(walk.script(site, BLOCKS))

    assert done.returncode == 0, done.stdout
    walk.check(site, done.stdout)


def test_every_piece_of_shell_is_run_or_listed_with_the_reason() -> None:
    run = {(walk.page, piece) for walk in WALKS for piece in walk.pieces}
    listed = {(page, piece) for page, pieces in NOT_RUN.items() for piece in pieces}

    assert PIECES.keys() - run - listed == set(), "not classified: add it to a walk, or to NOT_RUN with its reason"
    assert (run | listed) - PIECES.keys() == set(), "on no page any more"
    assert run & listed == set()


def test_pieces_that_begin_alike_are_alike() -> None:
    """They are known by their first line, so that one that is run would hide another that is not."""
    different = {(block.name, block.first_line, block.text) for block in BLOCKS}
    assert len(different) == len(PIECES)
