"""The killer of a soak: ends the service, its worker, and MinIO with it, at any moment, and starts them again."""

from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from random import Random

from soak.ground import Ground
from soak.repeated import Repeated

_SHORTEST_LIFE_SECONDS, _LONGEST_LIFE_SECONDS = 0.3, 7.0
_LONGEST_DEATH_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0


class Kill(StrEnum):
    """What is ended, and how."""

    SERVICE = "kill -9 of the service"
    WORKER = "kill -9 of gunicorn's worker alone"
    BOTH = "kill -9 of the service, and MinIO with it"
    MINIO = "MinIO alone"
    TERMINATE = "SIGTERM, and start"


_WEIGHTS: Mapping[Kill, int] = {Kill.SERVICE: 8, Kill.WORKER: 4, Kill.BOTH: 5, Kill.MINIO: 2, Kill.TERMINATE: 2}


class Killer:
    """Kills until it is stopped; `count` is how often, by kind, and `suicides` how often the service ended unasked."""

    def __init__(self, ground: Ground, *, seed: int) -> None:
        self.count: Counter[Kill] = Counter()
        self.suicides = 0
        self._ground = ground
        self._random = Random(f"{seed} killer")
        self._hand = Repeated(
            self._strike, pause=lambda: self._random.uniform(_SHORTEST_LIFE_SECONDS, _LONGEST_LIFE_SECONDS)
        )
        self._acts: dict[Kill, Callable[[], None]] = {
            Kill.SERVICE: self._kill_service,
            Kill.WORKER: self._kill_worker,
            Kill.BOTH: self._kill_both,
            Kill.MINIO: self._break_off_minio,
            Kill.TERMINATE: self._terminate,
        }

    def start(self) -> None:
        """Begin."""
        self._hand.start()

    def stop(self) -> None:
        """Return when everything runs."""
        self._hand.stop()
        self._revive()

    def _strike(self) -> None:
        self._revive()
        (kill,) = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        self._acts[kill]()

    def _revive(self) -> None:
        if not self._ground.service.is_running():
            self.suicides += 1
            self._ground.service.start(wait=False)

    def _stay_dead(self) -> None:
        self._hand.wait(self._random.uniform(0, _LONGEST_DEATH_SECONDS))

    def _kill_service(self) -> None:
        self._ground.service.kill()
        self.count[Kill.SERVICE] += 1
        self._stay_dead()
        self._ground.service.start(wait=False)

    def _kill_worker(self) -> None:
        self.count[Kill.WORKER] += self._ground.service.kill_worker()

    def _kill_both(self) -> None:
        first, second = self._random.sample((self._ground.service.kill, self._ground.minio.stop), 2)
        first()
        second()
        self.count[Kill.BOTH] += 1
        self._stay_dead()
        first, second = self._random.sample((self._start_service, self._ground.minio.start), 2)
        first()
        second()

    def _start_service(self) -> None:
        self._ground.service.start(wait=False)

    def _break_off_minio(self) -> None:
        self._ground.minio.stop()
        self.count[Kill.MINIO] += 1
        self._stay_dead()
        self._ground.minio.start()

    def _terminate(self) -> None:
        self._ground.service.end(_PATIENCE_SECONDS)
        self.count[Kill.TERMINATE] += 1
        self._stay_dead()
        self._ground.service.start(wait=False)
