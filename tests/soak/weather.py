"""The weather of a soak: faults at Graph and at MinIO, at random, and a line that is now fast, now slow."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from simulator.calls import CallKind
from simulator.faults import (
    Action,
    AnswerWith,
    CorruptBytes,
    CutConnection,
    CutPoint,
    Fault,
    FaultBody,
    Hang,
    LoseSession,
    Match,
    TruncateAnswer,
)
from simulator.graph_server import GraphSimulator
from simulator.minio_faults import ReadFault
from simulator.minio_standin import MinioStandin
from soak.repeated import Repeated

_MIB = 1024 * 1024
_PAUSE_SECONDS = 0.25
"""On average, between two faults."""

_MOST_PENDING = 12
"""Faults that wait for a call; the rarer calls would otherwise collect them."""

_WRITES = (CallKind.PUT_CONTENT, CallKind.PUT_CONTENT, CallKind.FRAGMENT, CallKind.SESSION_CREATE, CallKind.DELETE)
_ALL = (*_WRITES, CallKind.ITEM_GET, CallKind.FOLDER_CREATE, CallKind.SESSION_STATUS, CallKind.SESSION_CANCEL)
_SENT = (CallKind.PUT_CONTENT, CallKind.FRAGMENT)
_LOCKABLE = (CallKind.PUT_CONTENT, CallKind.SESSION_CREATE, CallKind.DELETE)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A fault of Graph by its name in the summary; it meets one of KINDS, on paths that contain PATH."""

    name: str
    action: Action
    kinds: Sequence[CallKind]
    weight: int
    path: str = ""


_TROUBLES = (
    _Trouble("429 with Retry-After", AnswerWith(429, headers={"Retry-After": "1"}), _ALL, 6),
    _Trouble("503 in HTML", AnswerWith(503, FaultBody.HTML), _ALL, 8),
    _Trouble("500", AnswerWith(500), _ALL, 8),
    _Trouble("504 after the effect", AnswerWith(504, FaultBody.EMPTY, after_effect=True), _WRITES, 6),
    _Trouble("cut before the body", CutConnection(CutPoint.BEFORE_BODY), _ALL, 8),
    _Trouble("cut in the body", CutConnection(CutPoint.HALF_BODY), _SENT, 8),
    _Trouble("cut after the effect", CutConnection(CutPoint.AFTER_EFFECT), _ALL, 10),
    _Trouble("answer cut short", TruncateAnswer(), _ALL, 6),
    _Trouble("slow answer", Hang(2.0, after_effect=True), _ALL, 3),
    _Trouble("session lost", LoseSession(), (CallKind.FRAGMENT, CallKind.SESSION_STATUS), 5),
    _Trouble("session lost, name taken", LoseSession(name_stays_taken=True), (CallKind.FRAGMENT,), 2),
    # What SharePoint makes of Office documents cannot be compared, so they would keep the damage.
    _Trouble("bytes damaged", CorruptBytes(), _SENT, 1, path=".bin"),
    _Trouble("423 locked", AnswerWith(423), _LOCKABLE, 4),
    _Trouble("409 resourceModified", AnswerWith(409, code="resourceModified"), _SENT, 4),
)


class Weather:
    """Sends faults until it is stopped; `met` then counts those that met a call, by name."""

    def __init__(self, graph: GraphSimulator, minio: MinioStandin, *, seed: int) -> None:
        self._graph = graph
        self._minio = minio
        self._random = Random(f"{seed} weather")
        self._sent: list[tuple[str, Fault]] = []
        self._other: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self._sky = Repeated(self._change, pause=lambda: self._random.expovariate(1 / _PAUSE_SECONDS))
        self._changes: list[tuple[Callable[[], None], int]] = [
            (self._trouble_graph, 20),
            (self._fail_reads, 3),
            (self._change_line, 2),
            (self._revoke, 1),
        ]

    def start(self) -> None:
        """Begin."""
        self._sky.start()

    def stop(self) -> None:
        """Let the sun shine."""
        self._sky.stop()
        spared = {id(fault) for fault in self._graph.pending_faults()}
        self._graph.clear_faults()
        self._graph.latency, self._graph.bandwidth = 0.0, None
        self._minio.heal()
        self.met = self._other + Counter(name for name, fault in self._sent if id(fault) not in spared)

    def _change(self) -> None:
        changes, weights = zip(*self._changes, strict=True)
        self._random.choices(changes, weights)[0]()

    def _trouble_graph(self) -> None:
        (trouble,) = self._random.choices(_TROUBLES, [trouble.weight for trouble in _TROUBLES])
        match = Match(self._random.choice(trouble.kinds), path=trouble.path)
        if len(self._graph.pending_faults()) >= _MOST_PENDING:
            return
        fault = Fault(match, trouble.action)
        self._sent.append((trouble.name, fault))
        self._graph.add_fault(fault)

    def _fail_reads(self) -> None:
        fault = self._random.choice((ReadFault.UNAVAILABLE, ReadFault.RESET))
        count = self._random.randint(1, 3)
        self._minio.fail_reads(fault, count=count)
        self._other[f"MinIO's reads {fault.name.lower()}"] += count

    def _change_line(self) -> None:
        self._graph.latency = self._random.choice((0.0, 0.0, 0.02, 0.1, 0.4))
        self._graph.bandwidth = self._random.choice((None, None, 20 * _MIB, 5 * _MIB, 2 * _MIB))
        self._minio.latency = self._random.choice((0.0, 0.0, 0.01, 0.05))
        self._other["latency and bandwidth changed"] += 1

    def _revoke(self) -> None:
        self._graph.revoke_tokens()
        self._other["tokens revoked (401)"] += 1
