"""The console: what an administrator asks of the mirror from a shell. The only importer of click.

Each command is a few lines here: it takes its parts from the toolbox, has them decide, and says what came of it.
Exit codes: 0 all is well, 1 something is wrong or was not done, 2 wrong usage or settings.
"""

import functools
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Protocol

import click

from sharepoint_proxy import __version__, telling
from sharepoint_proxy.comparison import MARKED, Difference, Order, Summary, Verdict
from sharepoint_proxy.errors import ConfigError, ProxyError
from sharepoint_proxy.fates import Fate, Restored
from sharepoint_proxy.findings import Finding
from sharepoint_proxy.findings import Verdict as Ending
from sharepoint_proxy.records import Change, Counts, Reconciled, State
from sharepoint_proxy.screen import Bar, Screen, Tone
from sharepoint_proxy.telling import Story

_FOLLOW_SECONDS = 1.0


class Backlog(Protocol):
    """The journal for a person."""

    def changes(self, state: State, *, limit: int) -> list[Change]: ...
    def change(self, bucket: str, key: str) -> Change | None: ...
    def retry(self, bucket: str, key: str) -> bool: ...
    def retry_all(self) -> int: ...
    def forget(self, bucket: str, key: str) -> bool: ...


class Progress(Protocol):
    """Is told how far a reconcile is."""

    def begin(self, title: str, total: int | None) -> None: ...
    def advance(self, count: int) -> None: ...
    def tell(self, difference: Difference) -> None: ...
    def delayed(self, reason: str) -> None: ...


class Reconciling(Protocol):
    """Makes reconciles."""

    def run(self, order: Order, progress: Progress) -> Summary: ...


class Restorer(Protocol):
    """Brings files of the library back into MinIO."""

    def run(
        self,
        *,
        bucket: str,
        prefix: str,
        to: tuple[str, str] | None,
        dry_run: bool,
        overwrite: bool,
        on_bytes: Callable[[int], None],
    ) -> Generator[Restored, None, None]: ...
    def expected_bytes(self, *, bucket: str, prefix: str) -> int: ...


class Toolbox(Protocol):
    """Makes what a command needs when it needs it."""

    @property
    def backlog(self) -> Backlog: ...
    @property
    def reconciling(self) -> Reconciling: ...
    @property
    def restorer(self) -> Restorer: ...
    @property
    def most_delete_percent(self) -> float: ...
    def screen(self, *, as_json: bool) -> Screen: ...
    def counts(self) -> Counts: ...
    def last_reconcile(self) -> Reconciled | None: ...
    def live(self) -> dict[str, Any] | None: ...
    def named(self, name: str) -> tuple[str, str]: ...
    def scope(self, name: str) -> tuple[str, str]: ...
    def findings(self) -> Iterator[Finding]: ...
    def story(self, bucket: str, key: str) -> Story: ...
    def consume(self, *, drain: bool) -> int: ...


def run(toolbox: Toolbox, arguments: Sequence[str] | None = None) -> int:
    """Run the command of ARGUMENTS (those of the process when None); its exit code. Errors are one sentence on stderr."""
    try:
        code = console.main(arguments, prog_name="sharepoint-proxy", obj=toolbox, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _failed(["Interrupted; what was done so far stays done."], 130)
    except ConfigError as error:
        return _failed(error.problems, 2)
    except ProxyError as error:
        return _failed([str(error)], 1)
    return int(code or 0)


def _failed(sentences: Iterable[str], code: int) -> int:
    for sentence in sentences:
        sys.stderr.write(f"sharepoint-proxy: {sentence}\n")
    return code


def _command(function: Callable[..., int]) -> Callable[..., int]:
    """A command's function, given the toolbox and a screen; with the option --json."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of lines for people.")
    @click.pass_context
    @functools.wraps(function)
    def wrapped(context: click.Context, /, **options: Any) -> int:
        screen = context.obj.screen(as_json=options.pop("as_json"))
        return function(context.obj, screen, **options)

    return wrapped


class _InOrder(click.Group):
    """Lists its commands in the order in which an administrator meets them, not by the alphabet."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sharepoint-proxy")
def console() -> None:
    """Look after the mirror from MinIO to SharePoint.

    The commands read the same settings as the service and use the same journal; all of them may run beside it. In a container:
    docker compose exec sharepoint-proxy sharepoint-proxy COMMAND

    Exit codes: 0 all is well, 1 something is wrong or was not done, 2 wrong usage or settings.
    """


@console.command(short_help="Try all that the mirror needs.")
@_command
def check(toolbox: Toolbox, screen: Screen) -> int:
    """Try everything that the mirror needs, and say what to do about what fails.

    Settings, certificate, login, site, library, the rights in it (by writing, reading and removing a small file), MinIO, its event
    rules, the webhook, the journal and the disk. What can be tried is tried even after an earlier step failed.
    """
    findings = []
    for finding in toolbox.findings():
        findings.append(finding)
        telling.show_finding(screen, finding)
    failed = [finding for finding in findings if finding.verdict is Ending.FAILED]
    screen.emit({"ok": not failed, "steps": findings})
    screen.say()
    screen.say(
        f"{len(failed)} of {len(findings)} steps failed." if failed else "All is well.",
        Tone.BAD if failed else Tone.GOOD,
    )
    return 1 if failed else 0


@console.command(short_help="Show what waits and is under way.")
@_command
def status(toolbox: Toolbox, screen: Screen) -> int:
    """Show what the mirror is doing: waiting, under way, parked, throttled, last reconcile.

    Exit code 1 while the service does not answer, or says that it cannot mirror just now.
    """
    live, counts, last = toolbox.live(), toolbox.counts(), toolbox.last_reconcile()
    reasons = ["The service does not answer."] if live is None else list(live["reasons"])
    screen.emit({"reasons": reasons, "counts": counts, "last_reconcile": last, "service": live})
    for reason in reasons:
        screen.pair("not ready", reason, Tone.BAD)
    if not reasons:
        screen.pair("ready", "Events are mirrored as they come.", Tone.GOOD)
    telling.show_counts(screen, counts)
    if live is not None:
        telling.show_live(screen, live)
    telling.show_reconcile(screen, last)
    return 1 if reasons else 0


@console.command(short_help="List what is not tried again.")
@click.option("--limit", default=1000, show_default=True, help="Show at most so many.")
@_command
def parked(toolbox: Toolbox, screen: Screen, *, limit: int) -> int:
    """List what is not tried again by itself, with the reason.

    Exit code 1 when there is any.
    """
    changes = toolbox.backlog.changes(State.PARKED, limit=limit)
    screen.emit(changes)
    telling.show_parked(screen, changes)
    return 1 if changes else 0


@console.command(short_help="Try parked objects again.")
@click.argument("key", required=False)
@click.option("--all", "everything", is_flag=True, help="All that is parked.")
@_command
def retry(toolbox: Toolbox, screen: Screen, *, key: str | None, everything: bool) -> int:
    """Look at KEY (bucket/key) again now, or with --all at everything that is parked.

    It gets all its tries anew. The service does the work, within a few seconds.
    """
    if (key is None) != everything:
        raise click.UsageError("Name one KEY, or give --all.")
    if key is None:
        count = toolbox.backlog.retry_all()
        screen.emit({"retried": count})
        screen.say(f"{count} parked objects are tried again." if count else "Nothing is parked.")
        return 0
    bucket, name = toolbox.named(key)
    is_found = toolbox.backlog.retry(bucket, name)
    screen.emit({"retried": int(is_found)})
    screen.say(
        f"{bucket}/{name} is tried again."
        if is_found
        else f"{bucket}/{name} neither waits nor is it parked (or a worker has it); see `explain`.",
        Tone.GOOD if is_found else Tone.DOUBTFUL,
    )
    return 0 if is_found else 1


@console.command(short_help="Drop an object from what is parked.")
@click.argument("key")
@_command
def forget(toolbox: Toolbox, screen: Screen, *, key: str) -> int:
    """Drop KEY (bucket/key) from what waits or is parked.

    SharePoint stays as it is until the next event for the key, or the next reconcile, finds that it differs.
    """
    bucket, name = toolbox.named(key)
    is_found = toolbox.backlog.forget(bucket, name)
    screen.emit({"forgotten": int(is_found)})
    screen.say(
        f"{bucket}/{name} is forgotten."
        if is_found
        else f"{bucket}/{name} neither waits nor is it parked (or a worker has it).",
        Tone.GOOD if is_found else Tone.DOUBTFUL,
    )
    return 0 if is_found else 1


@console.command(short_help="Tell why an object is (not) there.")
@click.argument("key")
@_command
def explain(toolbox: Toolbox, screen: Screen, *, key: str) -> int:
    """Tell why KEY (bucket/key) is, or is not, in SharePoint.

    What MinIO, the journal, the ledger and SharePoint say of it, in order of time, and what follows. Exit code 1 when it is not as
    it should be.
    """
    bucket, name = toolbox.named(key)
    story = toolbox.story(bucket, name)
    screen.emit(story)
    telling.show_story(screen, f"{bucket}/{name}", story)
    return 0 if story.is_fine else 1


@console.command(short_help="Run as a replica, fed by Kafka.")
@click.option("--drain", is_flag=True, help="Join no group: finish what is recorded here, and end.")
@click.pass_obj
def consume(toolbox: Toolbox, *, drain: bool) -> int:
    """Run the service with its events from Kafka, as one replica of a consumer group.

    It runs until it is stopped, and serves the same pages as without Kafka. Each replica needs a DATA_DIR of its own that outlives
    it. KAFKA_BROKERS and the other settings that begin so are explained in docs/kafka.md.
    """
    return toolbox.consume(drain=drain)


@console.command(short_help="Compare MinIO with the library.")
@click.option("--prefix", metavar="BUCKET/PREFIX", help="Compare only keys that begin so.")
@click.option("--dry-run", is_flag=True, help="Only say what differs; mark, adopt and delete nothing.")
@click.option("--verify", is_flag=True, help="Read every object and compare its hash, instead of trusting eTags.")
@click.option("--delete", is_flag=True, help="Delete files that the mirror wrote and whose object is gone from MinIO.")
@click.option("--foreign", is_flag=True, help="With --delete: also files that the mirror did not write.")
@click.option("--force", is_flag=True, help="With --delete: even if it is more than MAX_DELETE_PERCENT of the files.")
@click.option("--wait", is_flag=True, help="Return when the service has looked at all that was marked.")
@_command
def reconcile(toolbox: Toolbox, screen: Screen, *, prefix: str | None, wait: bool, **options: bool) -> int:
    """Compare all of MinIO with the library, and have the service mend what differs.

    The library is read as a whole, some 200 items a call. Files that are right already are adopted without an upload; what differs
    is marked in the journal, and the service does the work. Nothing is deleted without --delete. It may run beside the service and
    may be interrupted; what was marked until then stays marked.

    Exit code 1 when deletions were refused, or with --dry-run when anything differs.
    """
    if (options["foreign"] or options["force"]) and not options["delete"]:
        raise click.UsageError("--foreign and --force only mean something with --delete.")
    bucket, start = toolbox.scope(prefix) if prefix else (None, "")
    order = Order(bucket=bucket, prefix=start, most_percent=toolbox.most_delete_percent, **options)
    reconciling = toolbox.reconciling
    with screen.bar(unit="items") as bar:
        summary = reconciling.run(order, _Watched(bar, screen, shows_all=order.dry_run))
    telling.show_summary(screen, summary, order)
    is_done = not wait or order.dry_run or _follow(toolbox, screen)
    return 1 if summary.refused or not is_done or (order.dry_run and _differs(summary)) else 0


class _Watched:
    """A reconcile's progress on the screen; in a dry run each difference is a line."""

    def __init__(self, bar: Bar, screen: Screen, *, shows_all: bool) -> None:
        self.begin = bar.begin
        self.advance = bar.advance
        self._screen = screen
        self._shows_all = shows_all

    def tell(self, difference: Difference) -> None:
        if self._shows_all:
            self._screen.say(f"{difference.verdict.value:8} {difference.bucket}/{difference.key}")

    def delayed(self, reason: str) -> None:
        click.echo(reason, err=True)


def _differs(summary: Summary) -> bool:
    return any(summary.found.get(verdict) for verdict in (*MARKED, Verdict.STALE))


def _follow(toolbox: Toolbox, screen: Screen) -> bool:
    """Show how the service gets on, until nothing waits; False when there is no service that gets on."""
    counts = toolbox.counts()
    with screen.bar(unit="objects") as bar:
        bar.begin("Mirroring", counts.waiting + counts.working)
        while left := counts.waiting + counts.working:
            if toolbox.live() is None:
                screen.say("The service does not answer: what is marked waits until it runs.", Tone.BAD)
                return False
            time.sleep(_FOLLOW_SECONDS)
            counts = toolbox.counts()
            bar.advance(left - counts.waiting - counts.working)
    screen.say(f"Nothing waits any more; {counts.parked} are parked.", Tone.BAD if counts.parked else Tone.GOOD)
    return True


@console.command(short_help="Bring files back into MinIO.")
@click.argument("prefix")
@click.option(
    "--to", metavar="BUCKET[/FOLDER]", help="Restore below another bucket or folder instead of where they were."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be restored.")
@click.option("--overwrite", is_flag=True, help="Replace objects that hold another content by now.")
@_command
def restore(toolbox: Toolbox, screen: Screen, *, prefix: str, to: str | None, dry_run: bool, overwrite: bool) -> int:
    """Bring the files of PREFIX (bucket/folder, or one key) from SharePoint back into MinIO.

    Names are mapped back, each file is proved by its hash before it is stored, and the date that SharePoint shows is kept in the
    object's metadata as `mtime`. What MinIO holds already is left alone; a second run goes on where the first one ended. The
    service sees the restored objects and has nothing to do for them.

    It writes, which the proxy's own MinIO user may not: name one who has s3:PutObject, s3:AbortMultipartUpload and
    s3:ListMultipartUploadParts in RESTORE_ACCESS_KEY and RESTORE_SECRET_KEY (or the same with _FILE). Exit code 1 when a file failed,
    was skipped, or was kept as it is.
    """
    bucket, folder = toolbox.scope(prefix)
    restorer = toolbox.restorer
    counts: Counter[Fate] = Counter()
    told: list[Restored] = []
    with screen.bar(unit="bytes") as bar:
        bar.begin("Restoring", None if dry_run else restorer.expected_bytes(bucket=bucket, prefix=folder))
        run_of = restorer.run(
            bucket=bucket,
            prefix=folder,
            to=_target(to) if to else None,
            dry_run=dry_run,
            overwrite=overwrite,
            on_bytes=bar.advance,
        )
        with closing(run_of):
            for restored in run_of:
                counts[restored.fate] += 1
                telling.show_restored(screen, restored)
                if screen.as_json:
                    told.append(restored)
    screen.emit(told)
    telling.show_fates(screen, counts)
    return 1 if counts[Fate.FAILED] or counts[Fate.KEPT] or counts[Fate.SKIPPED] else 0


def _target(text: str) -> tuple[str, str]:
    bucket, _, folder = text.partition("/")
    return bucket, folder
