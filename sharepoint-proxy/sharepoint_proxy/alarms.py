"""What is wrong just now with the things that every key needs, or every key of one library; /ready tells it."""

import threading

from sharepoint_proxy.errors import Subject


class Alarms:
    """At most one sentence a subject and library (by its alias), the newest; for any number of threads."""

    def __init__(self) -> None:
        self._sentences: dict[tuple[Subject, str], str] = {}
        self._changing = threading.Lock()

    def sound(self, subject: Subject, sentence: str, *, library: str = "") -> bool:
        """Say what is wrong with SUBJECT; True if nothing was wrong with it before."""
        with self._changing:
            is_new = (subject, library) not in self._sentences
            self._sentences[subject, library] = sentence
            return is_new

    def end(self, *subjects: Subject, library: str = "") -> None:
        """These work again."""
        with self._changing:
            for subject in subjects:
                self._sentences.pop((subject, library), None)

    def sentences(self) -> list[str]:
        """Everything that is wrong."""
        with self._changing:
            return list(self._sentences.values())

    def subjects(self) -> frozenset[Subject]:
        """What something is wrong with."""
        with self._changing:
            return frozenset(subject for subject, _ in self._sentences)
