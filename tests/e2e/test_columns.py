"""User metadata of an object become columns of its file in SharePoint: in one call, and only when they changed."""

from collections.abc import Iterator
from email.header import Header

import pytest
from minio.commonconfig import REPLACE, CopySource

from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.stage import BUCKET, Stage

NOTE = "administration/note.txt"
COLUMNS = "auteur=Auteur,titre=Title,pages=Pages,final=Final,echeance=Echeance,statut=statut"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A service that fills columns."""
    with Stage(tmp_path_factory.mktemp("columns"), settings={"METADATA_COLUMNS": COLUMNS}) as stage:
        stage.service.start()
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The same, with nothing left of an earlier test."""
    yield shared
    shared.graph.clear_faults()
    shared.delete(NOTE)
    shared.settle()
    shared.calls()


def fields(stage: Stage, path: str = NOTE) -> dict[str, object]:
    item = stage.graph.item(path)
    assert item is not None
    return dict(item.fields)


def test_it_works(stage: Stage) -> None:
    """An upload and one call for all columns; the same again costs nothing."""
    stage.put(NOTE, b"hello", metadata={"Auteur": "Mme Martin", "titre": "Compte rendu", "pages": "3"})
    stage.settle()

    assert fields(stage) == {"Auteur": "Mme Martin", "Title": "Compte rendu", "Pages": 3}
    assert stage.kinds().count("FIELDS") == 1

    stage.service.post({"EventName": "s3:ObjectCreated:Put", "Key": f"{BUCKET}/{NOTE}"})
    stage.settle()
    assert stage.kinds() == []


def test_it_converts_each_type(stage: Stage) -> None:
    metadata = {"pages": "1 234,5", "final": "oui", "echeance": "31/01/2026", "statut": "brouillon"}
    stage.put(NOTE, b"hello", metadata=metadata)
    stage.settle()

    expected = {"Pages": 1234.5, "Final": True, "Echeance": "2026-01-31T00:00:00Z", "Statut": "Brouillon"}
    assert fields(stage) == expected


def test_it_decodes_what_http_made_of_an_accent(stage: Stage) -> None:
    stage.put(NOTE, b"hello", metadata={"auteur": Header("Hélène Été", "utf-8").encode()})
    stage.settle()

    assert fields(stage)["Auteur"] == "Hélène Été"


def test_a_copy_in_place_that_changes_only_metadata_uploads_nothing(stage: Stage) -> None:
    stage.put(NOTE, b"hello", metadata={"auteur": "A", "titre": "T"})
    stage.settle()
    stage.calls()
    source = CopySource(BUCKET, NOTE)
    stage.minio.client().copy_object(BUCKET, NOTE, source, metadata={"auteur": "B"}, metadata_directive=REPLACE)
    stage.settle()

    assert stage.kinds() == ["FIELDS"]
    # What is gone from the metadata is emptied.
    assert fields(stage) == {"Auteur": "B", "Title": None}


def test_a_value_that_does_not_fit_is_left_out_and_told(stage: Stage) -> None:
    stage.put(NOTE, b"hello", metadata={"auteur": "A", "pages": "many", "statut": "perdu"})
    stage.settle()

    assert fields(stage) == {"Auteur": "A"}
    line = stage.service.wait_for_line(lambda each: "Pages" in str(each.get("reason")))
    assert line["event"] == "settled"
    assert "does not take 'many': it is not a number" in line["reason"]
    assert "none of Brouillon, Publié, Archivé" in line["reason"]


def test_a_conflict_right_after_the_upload_is_tried_again_without_the_bytes(stage: Stage) -> None:
    stage.graph.add_fault(Fault(Match(CallKind.FIELDS), AnswerWith(409, code="resourceModified")))
    stage.put(NOTE, b"hello", metadata={"auteur": "A"})
    stage.settle()

    assert fields(stage) == {"Auteur": "A"}
    assert stage.kinds().count("PUT_CONTENT") == 1


def test_columns_follow_a_rename_without_a_call(stage: Stage) -> None:
    stage.put(NOTE, b"hello", metadata={"auteur": "A"})
    stage.settle()
    stage.calls()
    stage.minio.rename(BUCKET, NOTE, "administration/renamed.txt")
    stage.settle()

    assert fields(stage, "administration/renamed.txt") == {"Auteur": "A"}
    assert "FIELDS" not in stage.kinds()
    stage.delete("administration/renamed.txt")
