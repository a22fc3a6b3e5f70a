"""Programs that were written for the real service work against the simulator: MSAL and rclone."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msal
import pytest
from contract.plain_graph import SCOPE, PlainGraph
from cryptography.hazmat.primitives import hashes

from sharepoint_proxy.quickxor import QuickXorHash
from simulator import tls
from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.graph_server import GraphSimulator
from simulator.rclone_remote import Rclone

MIB = 1024 * 1024


def msal_application(
    simulator: GraphSimulator, monkeypatch: pytest.MonkeyPatch, credential: dict[str, str]
) -> msal.ConfidentialClientApplication:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.ca_path))
    return msal.ConfidentialClientApplication(
        simulator.client_id, authority=simulator.authority, instance_discovery=False, client_credential=credential
    )


def sha256_credential(issued: tls.Issued) -> dict[str, str]:
    return {"private_key": issued.key_pem().decode(), "public_certificate": issued.certificate_pem().decode()}


def test_msal_gets_a_token_with_a_certificate(client: PlainGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """By PS256 and the SHA-256 thumbprint; one openid document, one token, then the cache."""
    application = msal_application(client.simulator, monkeypatch, sha256_credential(tls.application()))

    results = [application.acquire_token_for_client([SCOPE]) for _ in range(2)]

    assert [result["token_source"] for result in results] == ["identity_provider", "cache"]
    assert [call.kind for call in client.simulator.calls()] == [CallKind.OPENID, CallKind.TOKEN]
    client.bearer = {"Authorization": f"Bearer {results[0]['access_token']}"}
    assert client.put("a.txt").status_code == 201


def test_msal_gets_a_token_with_an_older_kind_of_thumbprint(
    client: PlainGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = tls.application()
    sha1 = issued.certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a thumbprint is SHA-1 by definition
    credential = {"private_key": issued.key_pem().decode(), "thumbprint": sha1}

    application = msal_application(client.simulator, monkeypatch, credential)

    assert "access_token" in application.acquire_token_for_client([SCOPE])


def test_msal_is_told_that_a_certificate_is_unknown(client: PlainGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    application = msal_application(client.simulator, monkeypatch, sha256_credential(tls.application("stranger")))

    result = application.acquire_token_for_client([SCOPE])

    assert (result["error"], result["error_codes"]) == ("invalid_client", [700027])


def test_msal_refuses_an_unknown_tenant(client: PlainGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(client.simulator.ca_path))
    authority = client.simulator.authority.replace(client.simulator.tenant_id, "typo")

    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        msal.ConfidentialClientApplication(
            client.simulator.client_id,
            authority=authority,
            instance_discovery=False,
            client_credential=sha256_credential(tls.application()),
        )


@pytest.fixture
def rclone(client: PlainGraph, tmp_path: Path) -> Callable[..., str]:
    """Runs rclone with a remote `sp:` that is the simulator's library, reached through `tenant_url` and `token_url`."""
    return Rclone(client.simulator, drive_id=client.drive.rpartition("/")[2], folder=tmp_path).run


def test_rclone_copies_lists_and_compares_hashes(
    client: PlainGraph, rclone: Callable[..., str], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    (source / "été").mkdir(parents=True)
    files = {"été/a b.txt": b"hello", "empty.txt": b"", "big.bin": bytes(range(256)) * 4 * 11 * 1024, "50%#+.txt": b"x"}
    for name, content in files.items():
        (source / name).write_bytes(content)

    rclone("copy", str(source), "sp:team/folder")

    expected = {f"team/folder/{name}": len(content) for name, content in files.items()}
    assert client.simulator.tree() == {"team": None, "team/folder": None, "team/folder/été": None, **expected}
    listed = json.loads(rclone("lsjson", "-R", "--files-only", "--hash", "sp:team/folder"))
    hashes = {item["Path"]: item.get("Hashes", {}).get("quickxor", "") for item in listed}
    assert hashes == {name: quickxor_hex(content) if content else "" for name, content in files.items()}
    rclone("check", str(source), "sp:team/folder")
    kinds = Counter(call.kind for call in client.simulator.calls())
    assert kinds[CallKind.FRAGMENT] == 4  # one for each small file, two for the 11 MiB
    assert {call.status for call in client.simulator.calls() if call.kind is CallKind.TOKEN} == {200}


def test_rclone_reads_moves_and_deletes(client: PlainGraph, rclone: Callable[..., str]) -> None:
    item = client.put("a/b.txt").json()

    assert rclone("cat", "sp:a/b.txt") == "hello"
    rclone("moveto", "sp:a/b.txt", "sp:c/d.txt")
    moved = client.simulator.item("c/d.txt")
    assert moved is not None
    assert moved.id == item["id"]
    rclone("deletefile", "sp:c/d.txt")
    assert client.simulator.recycle_bin() == ["c/d.txt"]
    rclone("rmdir", "sp:c")
    rclone("purge", "sp:a")
    assert client.simulator.tree() == {}


def test_rclone_finds_changes_by_delta(client: PlainGraph, rclone: Callable[..., str]) -> None:
    client.simulator.change(delta_page=3)
    for number in range(8):
        client.put(f"f{number}/a.txt")

    listed = rclone("lsf", "-R", "--files-only", "--fast-list", "--onedrive-delta", "sp:")

    assert sorted(listed.split()) == [f"f{number}/a.txt" for number in range(8)]
    assert CallKind.DELTA in {call.kind for call in client.simulator.calls()}


def test_rclone_obeys_and_recovers_from_faults(client: PlainGraph, rclone: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    client.simulator.add_fault(Fault(Match(CallKind.SESSION_CREATE), AnswerWith(429, headers={"Retry-After": "1"})))
    client.simulator.add_fault(Fault(Match(CallKind.FRAGMENT), AnswerWith(503)))

    rclone("copyto", str(tmp_path / "a.txt"), "sp:a.txt")

    assert client.simulator.content("a.txt") == b"hello"


def quickxor_hex(content: bytes) -> str:
    digest = QuickXorHash()
    digest.update(content)
    return digest.digest().hex()
