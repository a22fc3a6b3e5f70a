"""How the commands say what they found, for a person."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sharepoint_proxy import comparison
from sharepoint_proxy.comparison import Order, Summary
from sharepoint_proxy.fates import Fate, Restored
from sharepoint_proxy.findings import Finding, Verdict
from sharepoint_proxy.records import Change, Counts, Reconciled
from sharepoint_proxy.screen import Screen, Tone, moment

_SHOWN_REASON = 200


class Fact(Protocol):
    """Something that is known of a key."""

    @property
    def about(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def at(self) -> float | None: ...


class Story(Protocol):
    """What is known of a key, and what follows."""

    @property
    def facts(self) -> Sequence[Fact]: ...
    @property
    def verdict(self) -> str: ...
    @property
    def is_fine(self) -> bool: ...


_TONES = {
    Verdict.OK: Tone.GOOD,
    Verdict.WARNING: Tone.DOUBTFUL,
    Verdict.FAILED: Tone.BAD,
    Verdict.SKIPPED: Tone.QUIET,
}


_FATES = {
    Fate.RESTORED: Tone.GOOD,
    Fate.WOULD_RESTORE: Tone.PLAIN,
    Fate.ALREADY_THERE: Tone.QUIET,
    Fate.KEPT: Tone.DOUBTFUL,
    Fate.SKIPPED: Tone.DOUBTFUL,
    Fate.FAILED: Tone.BAD,
}


def show_finding(screen: Screen, finding: Finding) -> None:
    """What one step of a check came to."""
    text = f"{finding.step}: {finding.tried}: {finding.found}"
    screen.pair(f"{finding.verdict:8}", text, _TONES[finding.verdict])
    if finding.advice:
        screen.say(f"         {finding.advice}", Tone.TITLE)


def show_restored(screen: Screen, restored: Restored) -> None:
    """What became of one file, unless it was there already."""
    if restored.fate is not Fate.ALREADY_THERE:
        name = f"{restored.bucket}/{restored.key}" if restored.key else restored.path
        screen.pair(f"{restored.fate:13}", f"{name} {restored.reason}".rstrip(), _FATES[restored.fate])


def show_fates(screen: Screen, counts: Mapping[Fate, int]) -> None:
    """How many files a restore met, by what became of them."""
    said = ", ".join(f"{count} {fate}" for fate, count in counts.items())
    screen.say(said or "There is nothing to restore.", Tone.TITLE)


def show_parked(screen: Screen, changes: Sequence[Change]) -> None:
    """What is parked, oldest first."""
    if not changes:
        screen.say("Nothing is parked.", Tone.GOOD)
        return
    rows = [
        (change.name, moment(change.marked_at), str(change.attempts), change.reason[:_SHOWN_REASON])
        for change in changes
    ]
    screen.table(("object", "since", "tries", "reason"), rows)


def show_story(screen: Screen, name: str, story: Story) -> None:
    """What is known of the object NAME, and what follows."""
    screen.say(name, Tone.TITLE)
    for fact in story.facts:
        at = moment(fact.at) if fact.at is not None else ""
        screen.say(f"  {at:19}  {fact.about:10}  {fact.text}")
    screen.say(story.verdict, Tone.GOOD if story.is_fine else Tone.DOUBTFUL)


def show_counts(screen: Screen, counts: Counts) -> None:
    """How much there is to do."""
    oldest = f", the oldest since {moment(counts.oldest_marked_at)}" if counts.oldest_marked_at is not None else ""
    screen.say(f"waiting {counts.waiting}{oldest}; under way {counts.working}; parked {counts.parked}")


def show_live(screen: Screen, live: dict[str, Any]) -> None:
    """What the service says of itself."""
    if live["paused_seconds"] > 0:
        screen.pair("throttled", f"Graph asked for a pause of {live['paused_seconds']:.0f} s more.", Tone.DOUBTFUL)
    for transfer in live["transfers"]:
        share = f"{100 * transfer['position'] // transfer['size']:3} %" if transfer["size"] else "begun"
        screen.say(f"  {share}  {transfer['bucket']}/{transfer['key']}")


def show_reconcile(screen: Screen, last: Reconciled | None) -> None:
    """How the last reconcile ended."""
    if last is None:
        screen.say("reconciled never")
    elif last.error:
        screen.pair("reconcile", f"of {moment(last.at)} failed: {last.error}", Tone.BAD)
    else:
        screen.say(
            f"reconciled {moment(last.at)} in {last.seconds:g} s: {last.objects} objects, {last.adopted} adopted,"
            f" {last.marked} marked, {last.stale} without an object"
        )


_SAID = {
    comparison.Verdict.SAME: "are as they should be",
    comparison.Verdict.ADOPTED: "were in the library already: adopted, not uploaded",
    comparison.Verdict.WAITING: "the service was to look at anyway",
    comparison.Verdict.NEW: "are not in the library",
    comparison.Verdict.CHANGED: "are there with another content",
    comparison.Verdict.MISSING: "were there, and were deleted or moved by somebody",
    comparison.Verdict.EDITED: "were there, and were changed by somebody",
    comparison.Verdict.REFUSED: "have a name that SharePoint cannot take",
    comparison.Verdict.PARKED: "have such a name, and are parked",
    comparison.Verdict.GONE: "the ledger knew, and are nowhere any more",
    comparison.Verdict.STALE: "files of the mirror have no object any more",
    comparison.Verdict.FOREIGN: "files of somebody else have no object",
}


def show_summary(screen: Screen, summary: Summary, order: Order) -> None:
    """What a reconcile found and did."""
    screen.emit(summary)
    rows = [(str(summary.found[verdict]), said) for verdict, said in _SAID.items() if summary.found.get(verdict)]
    screen.say(f"{summary.objects} objects in {summary.seconds:.1f} s", Tone.TITLE)
    screen.table(("", ""), rows)
    if summary.refused:
        screen.say(summary.refused, Tone.BAD)
    if order.dry_run:
        screen.say("Nothing was changed: this was a dry run.")
        return
    screen.say(f"{summary.marked} marked for the service, {summary.removed} of them to be deleted.")
    if summary.found.get(comparison.Verdict.STALE) and not order.delete:
        screen.say("Files without an object stay until `reconcile --delete`.")
