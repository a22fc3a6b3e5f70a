"""What tests of reconciles share: changes that nobody announces, what the command says, and what the journal holds."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from e2e.console import Console
from e2e.trouble import open_stage
from minio.notificationconfig import NotificationConfig

from simulator.calls import CallKind
from simulator.drive import Conflict
from simulator.items import Author
from simulator.stage import BUCKET, PREFIXES, Stage

FOLDER = "administration"
WRITES = frozenset(
    {
        *(CallKind.PUT_CONTENT, CallKind.SESSION_CREATE, CallKind.FRAGMENT, CallKind.FOLDER_CREATE),
        *(CallKind.PATCH, CallKind.DELETE, CallKind.FIELDS),
    }
)
_OTHER_APPLICATION = Author(application_id="33333333-3333-3333-3333-333333333333")


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Stage]:
    """A stage whose service mirrors."""
    with open_stage(folder, **options) as stage:
        yield stage


@contextmanager
def unannounced(stage: Stage, *, buckets: Sequence[str] = (BUCKET,)) -> Iterator[None]:
    """What happens in BUCKETS meanwhile raises no event: they have no rules."""
    client = stage.minio.client()
    for bucket in buckets:
        client.set_bucket_notification(bucket, NotificationConfig())
    try:
        yield
    finally:
        for bucket, prefix in product(buckets, PREFIXES):
            stage.minio.add_rule(bucket, prefix=prefix)


def put_unannounced(stage: Stage, objects: dict[str, bytes], *, bucket: str = BUCKET) -> None:
    """Store OBJECTS, by key, without an event."""
    with unannounced(stage, buckets=(bucket,)):
        for key, content in objects.items():
            stage.put(key, content, bucket=bucket)


def delete_unannounced(stage: Stage, *keys: str, bucket: str = BUCKET) -> None:
    """Remove objects without an event."""
    with unannounced(stage, buckets=(bucket,)):
        for key in keys:
            stage.delete(key, bucket=bucket)


def mirror(stage: Stage, objects: dict[str, bytes]) -> None:
    """Store OBJECTS, by key, let them be mirrored, and forget the calls."""
    for key, content in objects.items():
        stage.put(key, content)
    stage.settle()
    stage.graph.clear_calls()


def fill_library(stage: Stage, files: dict[str, bytes]) -> None:
    """Let another application have put FILES, by path, into the library."""
    for path, content in files.items():
        put_by_application(stage, path, content, _OTHER_APPLICATION)


def put_by_application(stage: Stage, path: str, content: bytes, author: Author) -> None:
    """Let an application write a file."""
    *folders, name = path.split("/")
    tenant = stage.graph.tenant
    with tenant.lock:
        library = tenant.library_named("Documents", None)
        parent = library.ensure_folders(folders, author)
        library.write_file(parent, name, tenant.store.of(content), conflict=Conflict.REPLACE, author=author)


def reconcile(stage: Stage, *options: str, code: int = 0) -> dict[str, int]:
    """Run the command with OPTIONS until the service has done what it marked; how many of each verdict it found."""
    said = Console(stage).run("reconcile", "--json", *options)
    assert said.code == code, said
    assert said.err == ""
    stage.settle()
    return dict(said.document["found"])


def writes(stage: Stage) -> Counter[str]:
    """The writes at Graph since they were last forgotten, by the kind of the call and the item's path; they are forgotten now."""
    return Counter(f"{call.kind.name} {call.item_path}" for call in stage.calls() if call.kind in WRITES)


def uploads(stage: Stage) -> Counter[str]:
    """How often each path was sent since the calls were last forgotten; they are forgotten now."""
    kinds = {CallKind.PUT_CONTENT, CallKind.SESSION_CREATE}
    return Counter(call.item_path for call in stage.calls() if call.kind in kinds)


def content_of(stage: Stage, paths: Sequence[str]) -> dict[str, bytes | None]:
    """What the library holds at PATHS; None where nothing is."""
    return {path: stage.graph.content(path) if stage.graph.item(path) else None for path in paths}


def tables(stage: Stage) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the journal, by table."""
    path = stage.service.data_dir / "journal.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        names = [row[0] for row in journal.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(journal.execute(f"SELECT * FROM {name}"), key=repr) for name in sorted(names)}  # noqa: S608 - its own names


def scratch(stage: Stage) -> list[str]:
    """The files of a reconcile that are still there."""
    return [path.name for path in stage.service.data_dir.glob("inventory.db*")]
