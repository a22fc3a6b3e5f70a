"""Plays the story on a stage, chapter by chapter: acts, waits until all is settled, shows what was seen, verifies it."""

import time
from collections.abc import Iterator, Sequence

from demo.school import School
from demo.screen import Screen, Style
from demo.story import STORY, Chapter, Evidence
from demo.verify import disagreements
from demo.wording import answer_rows, call_rows, plural, summary_rows, tree_rows
from simulator.stage import Stage

_SETTLE_SECONDS = 60.0
# An event that comes within a tenth of a second of the answer before is not waited for; and people need time to read.
_BETWEEN_CHAPTERS_SECONDS = 0.5


class Play:
    """One performance of STORY on STAGE, told on SCREEN; `problems` has a sentence for each disagreement."""

    def __init__(self, stage: Stage, screen: Screen, story: Sequence[Chapter] = STORY) -> None:
        self.problems: list[str] = []
        self._stage = stage
        self._screen = screen
        self._story = story
        self._school = School(stage)
        self._contents: dict[str, bytes] = {}
        self._seen: list[Evidence] = []

    def run(self) -> None:
        """All chapters, then the summary."""
        began = time.monotonic()
        for number, chapter in enumerate(self._story, start=1):
            self._screen.title(f"{number}. {chapter.title}")
            self._play(chapter)
            time.sleep(_BETWEEN_CHAPTERS_SECONDS)
        self._sum_up(time.monotonic() - began)

    def _play(self, chapter: Chapter) -> None:
        self._screen.say(chapter.text)
        self._screen.space()
        chapter.act(self._school)
        self._stage.settle(_SETTLE_SECONDS)
        evidence = self.new_evidence()
        self.show(evidence)
        self._screen.space()
        before, self._contents = self._contents, self._library()
        self._screen.say('The library "Documents" in SharePoint:', Style.DIM)
        self._screen.rows(tree_rows(self._contents, before))
        self._verify(chapter, evidence)

    def new_evidence(self) -> Evidence:
        """What was seen since this was last asked."""
        shown = sum(len(evidence.deliveries) for evidence in self._seen)
        evidence = Evidence(self._stage.minio.deliveries()[shown:], self._stage.calls())
        self._seen.append(evidence)
        return evidence

    def show(self, evidence: Evidence) -> None:
        """The webhook's answers and the calls at Graph."""
        self._screen.rows([*answer_rows(evidence.deliveries), *call_rows(evidence.calls)])

    def _library(self) -> dict[str, bytes]:
        graph = self._stage.graph
        return {path: graph.content(path) for path, size in graph.tree().items() if size is not None}

    def _verify(self, chapter: Chapter, evidence: Evidence) -> None:
        problems = [*disagreements(self._school.wanted, self._contents), *_refusals(evidence), *chapter.check(evidence)]
        for problem in problems:
            self._screen.say(f"Disagreement: {problem}", Style.RED)
        if not problems:
            self._screen.say(f"verified: {self._extent()} agree; {chapter.promise}", Style.GREEN)
        self.problems.extend(problems)

    def _extent(self) -> str:
        total = sum(map(len, self._contents.values()))
        return f"{plural(len(self._contents), 'file')}, {plural(total, 'byte')}"

    def _sum_up(self, seconds: float) -> None:
        self._screen.title("Summary")
        self._screen.say(f"{self._extent()} in the library after {seconds:.0f} s.")
        deliveries = [delivery for evidence in self._seen for delivery in evidence.deliveries]
        calls = [call for evidence in self._seen for call in evidence.calls]
        self._screen.rows(summary_rows(deliveries, calls))
        self._screen.space()
        if self.problems:
            self._screen.say(f"{plural(len(self.problems), 'disagreement')}: see above.", Style.RED)
        else:
            self._screen.say("Everything agrees.", Style.GREEN)


def _refusals(evidence: Evidence) -> Iterator[str]:
    """Every event must be taken at the first attempt, and each act raises at least one."""
    if not evidence.deliveries:
        yield "MinIO should have told the webhook, and did not."
    for delivery in evidence.deliveries:
        if not delivery.is_delivered or delivery.attempt > 1:
            yield f"The webhook answered {delivery.status or delivery.error} to attempt {delivery.attempt} for {delivery.key}."
