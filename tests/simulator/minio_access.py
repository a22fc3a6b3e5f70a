"""How a MinIO server is reached, and what it delivered: the same for the stand-in and for MinIO itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from minio import Minio

from simulator.minio_requests import REGION
from simulator.minio_sender import Delivery, DeliveryLog


class MinioAccess(ABC):
    """A server with BUCKETS and two users, of whom the service is the one that may only read."""

    root_user = "minioadmin"
    root_password = "minioadmin-secret"
    reader_key = "sharepoint-proxy"
    reader_secret = "sharepoint-proxy-secret"

    def __init__(self, *, buckets: Sequence[str]) -> None:
        self.buckets = tuple(buckets)
        self._log = DeliveryLog()

    @property
    @abstractmethod
    def endpoint(self) -> str:
        """The URL of the S3 API."""

    def environment(self) -> dict[str, str]:
        """The settings of a service that reads from here with the read-only user."""
        return {
            "MINIO_ENDPOINT": self.endpoint,
            "MINIO_ACCESS_KEY": self.reader_key,
            "MINIO_SECRET_KEY": self.reader_secret,
            "MINIO_BUCKETS": ",".join(self.buckets),
        }

    def client(self) -> Minio:
        """A client with the rights of the root user."""
        return Minio(
            urlsplit(self.endpoint).netloc,
            access_key=self.root_user,
            secret_key=self.root_password,
            secure=False,
            region=REGION,
        )

    def deliveries(self) -> list[Delivery]:
        """All attempts to deliver an event, oldest first."""
        return self._log.snapshot()

    def wait_for(self, predicate: Callable[[Delivery], bool], timeout: float = 10.0) -> Delivery:
        """The first attempt, past or coming, that satisfies the predicate; raises TimeoutError."""
        return self._log.wait_for(predicate, timeout)
