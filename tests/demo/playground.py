"""After the story: everything stays up, and commands to paste show how to play with it."""

import time

from demo.play import Play
from demo.screen import Screen, Style
from simulator.service_process import SECRET
from simulator.stage import BUCKET, Stage

_LOOK_SECONDS = 0.3


def open_playground(stage: Stage, screen: Screen, play: Play) -> None:
    """Print the commands, then show what happens as it happens, until KeyboardInterrupt."""
    screen.title("Play with it")
    screen.say(
        "Everything goes on running. Paste these into another terminal, in this folder; what they cause is shown here."
    )
    for purpose, command in _commands(stage):
        screen.space()
        screen.verbatim(f"# {purpose}")
        screen.verbatim(command)
    screen.space()
    screen.say("Ctrl-C ends it all.", Style.BOLD)
    screen.space()
    while True:
        play.show(play.new_evidence())
        time.sleep(_LOOK_SECONDS)


def _commands(stage: Stage) -> list[tuple[str, str]]:
    minio, graph, service = stage.minio, stage.graph, stage.service
    signed = f"curl -sS --aws-sigv4 aws:amz:us-east-1:s3 --user {minio.root_user}:{minio.root_password}"
    stored = f"{minio.endpoint}/{BUCKET}/administration/README.md"
    controls = f"curl -sS --cacert {graph.ca_path} {graph.tenant.origin}/_simulator"
    event = f'{{"EventName": "s3:ObjectCreated:Put", "Key": "{BUCKET}/administration/README.md"}}'
    bearer = f"-H 'Authorization: Bearer {SECRET}'"
    return [
        ("Put a file into MinIO (curl 7.75 or newer).", f"{signed} -T README.md {stored}"),
        (
            "See what the library holds: files with their bytes.",
            f"{controls}/tree | python3 -m json.tool --no-ensure-ascii",
        ),
        ("Read the file in the library.", f"{controls}/content'?'path=administration/README.md"),
        (
            "Tell the service of it once more. Nothing has changed, so Graph is not asked.",
            f"curl -isS {bearer} -d '{event}' {service.url}/s3event",
        ),
        ("Delete the file in MinIO. It leaves the library two seconds later.", f"{signed} -X DELETE {stored}"),
        (
            "Make Graph slow, 3 seconds a call; 0 makes it fast again.",
            f"{controls}/settings -X PATCH -d '{{\"latency\": 3}}'",
        ),
        (
            "Ask the service whether it is alive, and whether it has found its library.",
            f"curl -sS {service.url}/health {service.url}/ready",
        ),
    ]
