"""A webhook secret that stands in a file can be changed while the service runs."""

from pathlib import Path

import pytest

from sharepoint_proxy.environment import WebhookSecrets

OLD, NEW = "the-old-webhook-secret", "the-new-webhook-secret"


class Clock:
    """Seconds that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the present secret."""
    path = tmp_path / "secret"
    path.write_text(f"{OLD}\n", encoding="utf-8")
    return path


def test_a_secret_of_the_environment_stays(clock: Clock) -> None:
    secrets = WebhookSecrets({"WEBHOOK_SECRET": NEW, "WEBHOOK_SECRET_PREVIOUS": OLD}, clock=clock)
    assert secrets() == (NEW, OLD)
    clock.now += 10
    assert secrets() == (NEW, OLD)


def test_a_changed_file_counts_after_a_second(file: Path, clock: Clock) -> None:
    secrets = WebhookSecrets({"WEBHOOK_SECRET_FILE": str(file)}, clock=clock)
    assert secrets() == (OLD,)
    file.write_text(NEW, encoding="utf-8")
    clock.now += 0.5
    assert secrets() == (OLD,)
    clock.now += 0.5
    assert secrets() == (NEW,)


def test_a_previous_secret_may_come_and_go(file: Path, tmp_path: Path, clock: Clock) -> None:
    """Rotation: the new one is put in place with the old one as previous, which is taken away later."""
    previous = tmp_path / "previous"
    previous.write_text(OLD, encoding="utf-8")
    settings = {"WEBHOOK_SECRET_FILE": str(file), "WEBHOOK_SECRET_PREVIOUS_FILE": str(previous)}
    secrets = WebhookSecrets(settings, clock=clock)
    file.write_text(NEW, encoding="utf-8")
    assert secrets() == (NEW, OLD)


@pytest.mark.parametrize("content", ["", "two words", None])
def test_a_file_that_cannot_be_used_changes_nothing(
    file: Path, clock: Clock, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = WebhookSecrets({"WEBHOOK_SECRET_FILE": str(file)}, clock=clock)
    assert secrets() == (OLD,)
    if content is None:
        file.unlink()
    else:
        file.write_text(content, encoding="utf-8")
    clock.now += 1
    assert secrets() == (OLD,)
    assert "WEBHOOK_SECRET" in str(vars(caplog.records[-1])["reason"])

    file.write_text(NEW, encoding="utf-8")
    clock.now += 1
    assert secrets() == (NEW,)


def test_it_knows_the_secret_before_it_is_first_asked(file: Path, clock: Clock) -> None:
    """Of several first requests at the same time only one looks at the files; none of the others may be refused."""
    secrets = WebhookSecrets({"WEBHOOK_SECRET_FILE": str(file)}, clock=clock)
    file.unlink()
    assert secrets() == (OLD,)
