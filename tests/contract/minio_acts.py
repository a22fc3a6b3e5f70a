"""The acts behind the recorded requests of tests/data/minio-events.jsonl, in their order, to be done again.

A prefix ``lycee: `` or ``versioned: `` of a case names the bucket; both buckets went through the same acts first.
"""

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config
from minio.commonconfig import GOVERNANCE, REPLACE, CopySource, Tags
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from minio.retention import Retention

from simulator.minio_standin import MinioStandin

MIB = 1024 * 1024
BUCKETS = ("lycee", "versioned", "locked")
LONG_KEY = "administration/" + "/".join(["d" * 100] * 8) + "/f.txt"
RECORDING = Path(__file__).parent.parent / "data" / "minio-events.jsonl"


@dataclass(frozen=True, slots=True)
class Step:
    """One act of the recording, and the bodies that MinIO sent for it."""

    case: str
    bodies: tuple[str, ...]
    headers: tuple[dict[str, str], ...]


def recorded_steps() -> list[Step]:
    """The recording, lines of one act together."""
    lines = [json.loads(line) for line in RECORDING.read_text(encoding="utf-8").splitlines()]
    grouped = ((case, list(group)) for case, group in groupby(lines, key=lambda line: line["case"]))
    return [
        Step(case, tuple(each["body"] for each in group), tuple(each["headers"] for each in group))
        for case, group in grouped
    ]


class Actor:
    """Does the acts against one bucket of a stand-in."""

    def __init__(self, standin: MinioStandin, bucket: str) -> None:
        self.standin = standin
        self.bucket = bucket
        self.versions: list[str] = []
        self.minio = standin.client()
        self.boto: Any = boto3.client(
            "s3",
            endpoint_url=standin.endpoint,
            aws_access_key_id=standin.root_user,
            aws_secret_access_key=standin.root_password,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def put(self, key: str, content: bytes = b"hello", **options: Any) -> str:
        """Upload in one piece; the version's id."""
        return str(self.minio.put_object(self.bucket, key, io.BytesIO(content), len(content), **options).version_id)

    def copy(self, source: str, target: str, **options: Any) -> None:
        """Copy as minio-py does: HEAD and copy."""
        version_id = options.pop("version_id", None)
        self.minio.copy_object(self.bucket, target, CopySource(self.bucket, source, version_id=version_id), **options)

    def copy_unseen(self, source: str, target: str) -> None:
        """Copy without a HEAD, as mc does for what it has just listed."""
        self.boto.copy_object(Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": source})

    def head(self, key: str) -> None:
        """Look at an object."""
        self.minio.stat_object(self.bucket, key)

    def remove(self, key: str, version_id: str | None = None) -> None:
        """Delete one object or version."""
        self.minio.remove_object(self.bucket, key, version_id=version_id)

    def remove_many(self, *entries: tuple[str, str | None]) -> None:
        """Delete in bulk, as mc rm does."""
        assert not list(self.minio.remove_objects(self.bucket, [DeleteObject(*entry) for entry in entries]))

    def newest_version(self, key: str) -> str:
        """The id of the newest version of a key, which may be a delete marker."""
        listed = self.minio.list_objects(self.bucket, prefix=key, include_version=True)
        # minio-py leaves this flag a string.
        return next(str(each.version_id) for each in listed if each.is_latest == "true")

    def post(self, key: str, content: bytes) -> None:
        """Upload by a browser's form."""
        policy = PostPolicy(self.bucket, datetime.now(UTC) + timedelta(hours=1))
        policy.add_equals_condition("key", key)
        fields = {**self.minio.presigned_post_policy(policy), "key": key, "Content-Type": "text/plain"}
        answer = requests.post(
            f"{self.standin.endpoint}/{self.bucket}",
            data=fields,
            files={"file": ("f.txt", content, "text/plain")},
            timeout=10,
        )
        answer.raise_for_status()

    def snowball(self, *names: str) -> None:
        """Upload a tar whose members become objects."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = 2
                archive.addfile(member, io.BytesIO(b"hi"))
        self.boto.put_object(
            Bucket=self.bucket, Key="snow.tar", Body=tar.getvalue(), Metadata={"snowball-auto-extract": "true"}
        )

    def put_boto(self, key: str, content: bytes, **options: Any) -> None:
        """Upload with boto3."""
        self.boto.put_object(Bucket=self.bucket, Key=key, Body=content, **options)


Act = Callable[[Actor], Any]


def _move_folder(actor: Actor) -> None:
    for name in ("2.txt", "1.txt"):
        actor.copy_unseen(f"bts-sio/old/{name}", f"bts-sio/new/{name}")
    actor.remove_many(("bts-sio/old/2.txt", None), ("bts-sio/old/1.txt", None))


def _mc_rm(actor: Actor) -> None:
    actor.head("administration/l.txt")
    actor.head("administration/l.txt")
    actor.remove_many(("administration/l.txt", None))


def _put_tags(actor: Actor) -> None:
    tags = Tags.new_object_tags()
    tags["etat"] = "valide"
    actor.minio.set_object_tags(actor.bucket, "administration/note.txt", tags)


def _put_two(actor: Actor, folder: str) -> None:
    actor.put(f"{folder}/a.txt")
    actor.put(f"{folder}/b.txt")


def _put_two_for_nothing(actor: Actor) -> None:
    _put_two(actor, "archives/dir2")
    # Removing a prefix with MinIO's own header raises nothing.
    actor.minio._execute("DELETE", actor.bucket, "archives/dir2", headers={"x-minio-force-delete": "true"})


# What both buckets went through, up to the first act that needs versions.
COMMON: list[tuple[str, Act]] = [
    (
        "put small object",
        lambda a: a.put(
            "administration/note.txt", content_type="text/plain", metadata={"auteur": "Ana", "titre": "Note"}
        ),
    ),
    ("overwrite", lambda a: a.put("administration/note.txt", b"hello again")),
    ("overwrite with the same bytes", lambda a: a.put("administration/note.txt", b"hello again")),
    ("put zero bytes", lambda a: a.put("administration/empty.txt", b"")),
    ("put folder marker", lambda a: a.put("administration/dossier/", b"")),
    (
        "put accents, spaces, plus, percent",
        lambda a: a.put("bts-sio/\u00c9l\u00e8ves 2024/emploi+du%20temps & co (1).pdf"),
    ),
    ("put NFD accents", lambda a: a.put("bts-sio/E\u0301le\u0300ve.txt")),
    ("put characters SharePoint refuses", lambda a: a.put('bts-sio/a:b*c?d"e<f>g|h#i~.txt')),
    ("put emoji", lambda a: a.put("bts-sio/\U0001f600.txt")),
    ("multipart put 12 MiB", lambda a: a.put("archives/2024/big.bin", os.urandom(12 * MIB), part_size=5 * MIB)),
    ("copy to another key", lambda a: a.copy("administration/note.txt", "archives/2024/copy.txt")),
    (
        "copy onto itself, new metadata",
        lambda a: a.copy(
            "administration/note.txt",
            "administration/note.txt",
            metadata={"etat": "valide"},
            metadata_directive=REPLACE,
        ),
    ),
    ("put tags", _put_tags),
    ("delete tags", lambda a: a.minio.delete_object_tags(a.bucket, "administration/note.txt")),
    ("head object", lambda a: a.head("administration/note.txt")),
    ("get object", lambda a: a.minio.get_object(a.bucket, "administration/note.txt").read()),
    (
        "get object by range",
        lambda a: a.minio.get_object(a.bucket, "archives/2024/big.bin", offset=10, length=10).read(),
    ),
    ("POST form upload", lambda a: a.post("administration/formulaire.txt", b"posted")),
    (
        "mc mv (rename) small",
        lambda a: a.standin.rename(a.bucket, "archives/2024/copy.txt", "archives/2024/renamed.txt"),
    ),
    (
        "mc mv (rename) multipart object",
        lambda a: a.standin.rename(a.bucket, "archives/2024/big.bin", "archives/2024/big-renamed.bin"),
    ),
    ("mc mv folder", lambda a: (a.put("bts-sio/old/1.txt"), a.put("bts-sio/old/2.txt"))),
    ("mc mv folder, the move", _move_folder),
    ("mc cp local", lambda a: a.put("administration/l.txt", b"local", content_type="text/plain")),
    ("mc cp server side", lambda a: a.copy("administration/l.txt", "administration/l2.txt")),
    ("delete object", lambda a: a.remove("administration/l2.txt")),
    ("delete object that does not exist", lambda a: a.remove("administration/never.txt")),
    ("delete folder marker", lambda a: a.remove("administration/dossier/")),
    (
        "multi-object delete, one missing",
        lambda a: a.remove_many(
            ("bts-sio/new/1.txt", None), ("bts-sio/new/2.txt", None), ("bts-sio/missing.txt", None)
        ),
    ),
    ("mc rm", _mc_rm),
    ("preparation of the next case", lambda a: _put_two(a, "archives/dir")),
    ("mc rm -r --force", lambda a: a.remove_many(("archives/dir/a.txt", None), ("archives/dir/b.txt", None))),
    ("preparation of the next case", _put_two_for_nothing),
    ("snowball", lambda a: a.snowball("bts-sio/s1.txt", "bts-sio/s2.txt", "bts-sio/s3.txt")),
    (
        "put with Content-Encoding gzip",
        lambda a: a.put_boto("administration/z.txt", os.urandom(23), ContentEncoding="gzip"),
    ),
    ("put with checksum", lambda a: a.put_boto("administration/sum.txt", b"abc", ChecksumAlgorithm="SHA256")),
]


def _put_versions(actor: Actor, key: str, *contents: bytes) -> None:
    actor.versions = [actor.put(key, content) for content in contents]


def _delete_versions(actor: Actor) -> None:
    actor.head("administration/w.txt")
    listed = actor.minio.list_objects(actor.bucket, prefix="administration/w.txt", include_version=True)
    actor.remove_many(*((str(each.object_name), each.version_id) for each in listed))


def _bury(actor: Actor) -> None:
    _put_two(actor, "archives/dir3")
    _put_versions(actor, "administration/x.txt", b"one")
    actor.remove("administration/x.txt")


VERSIONS: list[tuple[str, Act]] = [
    ("preparation of the next case", lambda a: _put_versions(a, "administration/v.txt", b"one", b"two two")),
    ("delete by key (makes a delete marker)", lambda a: a.remove("administration/v.txt")),
    (
        "delete the delete marker (undelete)",
        lambda a: a.remove("administration/v.txt", a.newest_version("administration/v.txt")),
    ),
    ("purge an old version", lambda a: a.remove("administration/v.txt", a.versions[0])),
    ("preparation of the next case", lambda a: _put_versions(a, "administration/v.txt", b"three")),
    (
        "purge the current version (older one becomes current)",
        lambda a: a.remove("administration/v.txt", a.versions[0]),
    ),
    (
        "copy an old version onto the key (restore a version)",
        lambda a: _put_versions(a, "administration/w.txt", b"one", b"two"),
    ),
    (
        "copy an old version onto the key, the copy",
        lambda a: a.copy("administration/w.txt", "administration/w.txt", version_id=a.versions[0]),
    ),
    ("multi-delete of a marker by version", lambda a: a.remove("administration/w.txt")),
    (
        "multi-delete of a marker by version, the delete",
        lambda a: a.remove_many(("administration/w.txt", a.newest_version("administration/w.txt"))),
    ),
    ("mc rm --versions --force", _delete_versions),
]
LATER_VERSIONS: list[tuple[str, Act]] = [
    ("preparation of the next case", _bury),
    ("purge a data version beneath a marker", lambda a: a.remove("administration/x.txt", a.versions[0])),
    (
        "put with storage class",
        lambda a: a.put_boto("administration/sc.txt", b"q", StorageClass="REDUCED_REDUNDANCY"),
    ),
]
LATER_COMMON: list[tuple[str, Act]] = [
    ("key 900 characters", lambda a: a.put(LONG_KEY)),
    (
        "mc mirror of a local folder",
        lambda a: [a.put(f"archives/mir/{n}.txt", str(n).encode(), content_type="text/plain") for n in range(3)],
    ),
    (
        "mc cp with attributes",
        lambda a: a.put(
            "administration/attr.txt", b"local", content_type="text/plain", metadata={"auteur": "Ana", "titre": "Note"}
        ),
    ),
    (
        "put with non-ascii metadata",
        lambda a: a.put_boto("administration/meta.txt", b"x", Metadata={"auteur": "=?UTF-8?B?w4lsw6huZQ==?="}),
    ),
]
_UNTIL = datetime(2026, 11, 22, 11, 6, 14, 241_000, UTC)
LOCKED: list[tuple[str, Act]] = [
    ("put", lambda a: a.put("administration/lock.txt")),
    (
        "put retention",
        lambda a: a.minio.set_object_retention(a.bucket, "administration/lock.txt", Retention(GOVERNANCE, _UNTIL)),
    ),
    ("legal hold on", lambda a: a.minio.enable_object_legal_hold(a.bucket, "administration/lock.txt")),
    ("legal hold off", lambda a: a.minio.disable_object_legal_hold(a.bucket, "administration/lock.txt")),
]


def acts() -> list[tuple[str, str, Act]]:
    """All acts with their buckets, in the order of the recording."""
    blocks = [
        ("lycee", COMMON),
        ("versioned", COMMON),
        ("versioned", VERSIONS),
        ("lycee", [("preparation of the next case", lambda a: _put_two(a, "archives/dir3"))]),
        ("versioned", LATER_VERSIONS),
        ("lycee", LATER_COMMON),
        ("locked", LOCKED),
    ]
    return [(bucket, case, act) for bucket, block in blocks for case, act in block]
