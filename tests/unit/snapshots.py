"""Moments of a service's life, invented for the status page."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sharepoint_proxy.activity import Done, Minute, Snapshot, Transfer
from sharepoint_proxy.records import Action, Change, Counts, Reconciled, State

AT = datetime(2027, 1, 14, 9, 41, tzinfo=UTC).timestamp()
LIBRARY_URL = "https://contoso.sharepoint.com/sites/team/Shared%20Documents"
BUCKET = "lycee"

IDLE = Snapshot(
    at=AT,
    version="0.1.0",
    started_at=AT - 90_000,
    reasons=(),
    counts=Counts(waiting=0, working=0, parked=0, oldest_marked_at=None),
    transfers=(),
    waiting=(),
    parked=(),
    done=(),
    minutes=tuple(Minute(at=AT - 60.0 * ago) for ago in reversed(range(60))),
    paused_seconds=0.0,
    places=16,
    library_name="Documents",
    library_url=LIBRARY_URL,
    certificate_ends_at=datetime.fromtimestamp(AT, UTC) + timedelta(days=212, hours=1),
    reconciled=None,
)
"""Nothing was ever announced."""


def change(key: str, *, state: State = State.PARKED, **values: object) -> Change:
    """A row of the journal."""
    row = Change(
        bucket=BUCKET,
        key=key,
        state=state,
        is_working=False,
        event="s3:ObjectCreated:Put",
        marked_at=AT - 7300,
        due_at=AT,
        attempts=1,
        reason="The library refuses it.",
        status=None,
        blocked_by=None,
    )
    return replace(row, **values)  # type: ignore[arg-type] # named by the test


def done(key: str, *, ago: float, size: int = 0, action: Action = Action.UPLOADED, path: str | None = None) -> Done:
    """Something that was mirrored so many seconds ago, as a rule to where its key says."""
    return Done(bucket=BUCKET, key=key, path=key if path is None else path, action=action, bytes=size, at=AT - ago)


def transfer(key: str, *, position: int = 0, size: int = 0, began: float = 3) -> Transfer:
    """A key that is worked on for so many seconds."""
    return Transfer(bucket=BUCKET, key=key, began_at=AT - began, position=position, size=size)


def _minute(ago: int) -> Minute:
    """A morning that gets busier, with a lull in it."""
    files = round(9 * abs(math.sin(ago / 11)) + 4 * abs(math.sin(ago * 1.7))) if ago not in range(38, 43) else 0
    return Minute(at=AT - 60.0 * ago, files=files, bytes=files * round(3e6 + 2e7 * abs(math.sin(ago * 2.3))))


def parked(*keys: str) -> Snapshot:
    """A service that parked KEYS and has nothing else to do."""
    changes = tuple(change(key) for key in keys)
    return replace(IDLE, counts=replace(IDLE.counts, parked=len(keys)), parked=changes)


BUSY = replace(
    IDLE,
    counts=Counts(waiting=37, working=3, parked=0, oldest_marked_at=AT - 190),
    transfers=(
        transfer("bts-sio/projets/2027/soutenance groupe B.mp4", position=412_000_000, size=655_000_000, began=97),
        transfer("archives/2024/inventaire-bibliotheque.zip", position=31_000_000, size=248_000_000, began=41),
        transfer("administration/conseil/compte rendu.docx", began=0),
    ),
    waiting=(
        change(
            "administration/emplois du temps.xlsx",
            state=State.WAITING,
            due_at=AT + 184,
            attempts=3,
            reason="The file is open in Office (423 resourceLocked).",
        ),
        change("bts-sio/projets/2027/soutenance groupe C.mp4", state=State.WAITING, attempts=0, reason=""),
    ),
    done=(
        done("administration/emplois du temps/semaine 03.pdf", ago=4, size=184_000),
        done("bts-sio/cours/réseaux/TP 12 VLAN.docx", ago=9, size=2_310_000),
        done("bts-sio/cours/réseaux/TP 11.docx", ago=31, action=Action.DELETED, path=""),
        done("archives/2024/bulletins/", ago=75, action=Action.FOLDER_MADE),
        done("bts-sio/projets/2027/soutenance groupe A.mp4", ago=160, size=731_000_000),
        done("administration/notes de service/2027-002.pdf", ago=420, size=96_000),
        done("administration/notes de service/2027-001.pdf", ago=421, size=88_100),
        done("bts-sio/cours/sql/dump.sql.gz", ago=1900, size=45_600_000),
        done("administration/logo.svg", ago=3100, size=3_214),
    ),
    minutes=tuple(_minute(59 - number) for number in range(60)),
    reconciled=Reconciled(at=AT - 6 * 3600, seconds=41.0, objects=18_204),
)
"""All is well and there is much to do."""

CAREFUL = replace(
    BUSY,
    counts=replace(BUSY.counts, parked=2),
    parked=(
        change(
            "bts-sio/cours//brouillon.txt",
            reason="The key has an empty folder name, which SharePoint cannot have.",
        ),
        change(
            "administration/Rapport.PDF",
            marked_at=AT - 180_000,
            reason="Its place in SharePoint is taken by lycee/administration/rapport.pdf: names differ there by more than their case.",
        ),
    ),
)
"""As before, and something is parked."""

AWAY = replace(
    CAREFUL,
    transfers=(),
    reasons=("Graph cannot be reached (ConnectTimeout). Is there a way to https://graph.microsoft.com from here?",),
    counts=replace(CAREFUL.counts, waiting=412, working=0),
    paused_seconds=42.0,
    places=4,
    certificate_ends_at=datetime.fromtimestamp(AT, UTC) + timedelta(days=12, hours=1),
)
"""Graph is away, had asked for a pause before that, and the certificate ends soon."""
