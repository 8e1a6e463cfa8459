"""Which results count as missing or damaged."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pytest

from heirloom.runtime.files import write_card, write_table
from heirloom.runtime.receipts import FOLDER, named_by, write_receipt
from heirloom.runtime.recovery import Faults, bring_to_present, find_faults, missing_files, remove_damaged


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    model = folder / "teachers" / "t" / "none"
    model.mkdir(parents=True)
    (model / "weights.safetensors").write_bytes(b"weights")
    write_card(model / "card.json", kind="teacher", files={"weights": model / "weights.safetensors"})
    write_table(folder / "tables" / "summary.parquet", pa.table({"a": [1, 2]}), metadata={})
    (folder / "tables" / "summary.csv").write_text("a\n1\n")
    write_receipt(folder / FOLDER / "model", [model / "card.json", model / "weights.safetensors"])
    write_receipt(folder / FOLDER / "tables", [folder / "tables/summary.parquet", folder / "tables/summary.csv"])
    return folder


def faults(results, *, is_planned=lambda _path: True):
    return find_faults([results], is_planned=is_planned)


def weights(results):
    return results / "teachers/t/none/weights.safetensors"


FILES = (
    "teachers/t/none/card.json",
    "teachers/t/none/weights.safetensors",
    "tables/summary.parquet",
    "tables/summary.csv",
)


def test_intact_results_are_left_alone(results):
    assert faults(results) == Faults((), ())
    assert missing_files([results], is_planned=lambda _path: True) == []


@pytest.mark.parametrize("name", FILES)
def test_each_file_that_a_job_wrote_is_missed(results, name):
    (results / name).unlink()
    assert faults(results) == Faults((results / name,), ())
    assert missing_files([results], is_planned=lambda _path: True) == [results / name]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["empty", "cut", "altered"])
def test_each_file_that_is_not_what_a_job_wrote_is_damaged(results, name, damage):
    content = bytearray((results / name).read_bytes())
    content[len(content) // 2] ^= 1
    kept = {"empty": b"", "cut": content[:-1], "altered": bytes(content)}[damage]
    (results / name).write_bytes(kept)
    assert faults(results) == Faults((), (results / name,))


def test_without_receipts_cards_tell_of_the_files_that_they_name(results):
    for receipt in (results / FOLDER).iterdir():
        receipt.unlink()
    weights(results).write_bytes(b"wEights")
    assert faults(results).damaged == (weights(results),)
    weights(results).unlink()
    assert faults(results).missing == (weights(results),)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": 3}', b'{"kind": "a", "files": {"a": {}}}'])
def test_a_card_that_is_no_card_is_damaged_with_a_receipt_or_without(results, content):
    card = weights(results).with_name("card.json")
    card.write_bytes(content)
    assert faults(results).damaged == (card,)
    (results / FOLDER / "model").unlink()
    assert faults(results).damaged == (card,)


def test_of_a_card_that_names_a_file_wrongly_the_card_alone_is_owed(results):
    """No rule makes what it names: a run that asked for it would end with an error."""
    card = weights(results).with_name("card.json")
    card.write_text(card.read_text().replace("weights.safetensors", "wEights.safetensors"))
    assert faults(results) == Faults((), (card,))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 3}', b'{"a": {"b": 3}}'])
def test_a_receipt_that_is_none_says_nothing(results, content):
    (results / FOLDER / "tables").write_bytes(content)
    (results / "tables/summary.csv").unlink()
    assert faults(results) == Faults((), ())


def test_a_receipt_takes_the_sums_of_a_card_and_hashes_no_big_file_twice(results, monkeypatch):
    hashed = []
    monkeypatch.setattr("heirloom.runtime.receipts.sha256_of", lambda path: hashed.append(path.name) or "0")
    card = weights(results).with_name("card.json")
    write_receipt(results / FOLDER / "again", [card, weights(results)])
    assert hashed == ["card.json"]
    assert named_by(card)[weights(results)].bytes == len(b"weights")


def test_pictures_of_a_data_set_and_what_a_job_is_writing_are_not_judged(results):
    for name in ("data/d/raw/files/a/card.json", ".files.partial/a/card.json", "tables/.summary.csv.partial"):
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert faults(results) == Faults((), ())


def test_what_is_not_planned_is_not_judged(results):
    for name in ("notes.txt", "summary.tex"):
        (results / "tables" / name).write_text("by hand, no newline")
    weights(results).write_bytes(b"")
    (results / "tables/summary.csv").unlink()
    assert faults(results, is_planned=lambda path: path.suffix == ".csv") == Faults(
        (results / "tables/summary.csv",), ()
    )


def test_links_that_lead_nowhere_stop_nothing(results):
    (results / "tables/old.csv").symlink_to("gone")
    assert faults(results) == Faults((), ())
    bring_to_present([results], tell=print)


def test_removing_tells_of_all_that_is_owed_and_it_stays_owed_until_it_is_made(results):
    lines = []
    weights(results).write_bytes(b"")
    (results / "tables/summary.csv").unlink()
    owed = [results / "tables/summary.csv", weights(results)]
    remove_damaged(faults(results), tell=lines.append)
    assert [line for line in lines if "weights.safetensors is damaged" in line]
    assert [line for line in lines if "summary.csv is missing" in line]
    assert not weights(results).exists()
    assert faults(results).owed == owed
    weights(results).write_bytes(b"weights")
    assert faults(results).owed == owed[:1]


def test_files_of_the_future_are_dated_now_and_others_keep_their_time(results):
    now, lines = time.time(), []
    os.utime(weights(results), (now + 9e5, now + 9e5))
    others = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    others.pop(weights(results))
    bring_to_present([results], tell=lines.append)
    assert now <= weights(results).stat().st_mtime <= time.time()
    assert {path: path.stat().st_mtime_ns for path in others} == others
    assert len(lines) == 1
    assert lines[0].endswith(f"lay in the future: {weights(results)}")
    bring_to_present([results], tell=lines.append)
    assert len(lines) == 1
