"""Which result files count as damaged."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pytest

from heirloom.runtime import repair
from heirloom.runtime.errors import StorageError
from heirloom.runtime.files import write_card, write_table
from heirloom.runtime.repair import bring_to_present, remove_damaged, settle


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    model = folder / "shared" / "teachers" / "t" / "none"
    model.mkdir(parents=True)
    (model / "weights.safetensors").write_bytes(b"weights")
    write_card(model / "card.json", kind="teacher", files={"weights": model / "weights.safetensors"})
    write_table(folder / "tables" / "summary.parquet", pa.table({"a": [1, 2]}), metadata={})
    (folder / "tables" / "summary.csv").write_text("a\n1\n")
    return folder


def damaged_files(folders, *, made=lambda _path: True):
    return repair.damaged_files(folders, made=made)


def weights(results):
    return results / "shared/teachers/t/none/weights.safetensors"


def test_intact_results_are_left_alone(results):
    assert damaged_files([results]) == []


@pytest.mark.parametrize("content", [b"", b"weigh", b"wEights"], ids=["empty", "cut", "altered"])
def test_a_file_that_is_not_what_its_card_says_is_damaged(results, content):
    weights(results).write_bytes(content)
    assert damaged_files([results]) == [weights(results)]


def test_a_missing_file_is_missing_and_not_damaged(results):
    weights(results).unlink()
    assert damaged_files([results]) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": 3}'])
def test_a_card_that_is_no_card_is_damaged(results, content):
    card = weights(results).with_name("card.json")
    card.write_bytes(content)
    assert damaged_files([results]) == [card]


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_table_that_was_cut_is_damaged(results, keep):
    table = results / "tables" / "summary.parquet"
    os.truncate(table, keep if keep >= 0 else table.stat().st_size - 1)
    assert damaged_files([results]) == [table]


def test_an_empty_text_is_damaged(results):
    text = results / "tables" / "summary.csv"
    text.write_bytes(b"")
    assert damaged_files([results]) == [text]


@pytest.mark.parametrize(("ending", "intact"), [("</html>\n", True), ("</html>", True), ("</bo", False), ("", False)])
def test_a_page_is_judged_by_its_end_whoever_wrote_it(results, ending, intact):
    page = results / "report.html"  # Snakemake's own report has no newline at its end
    page.write_text(f"<!doctype html><body>text{ending}")
    assert damaged_files([results]) == ([] if intact else [page])


def test_pictures_of_a_data_set_are_not_judged_here(results):
    picture = results / "shared/data/d/raw/files/a/broken.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"")
    assert damaged_files([results]) == []


def test_what_a_job_is_writing_is_not_judged(results):
    for name in (".files.partial/a/empty.csv", "tables/.summary.csv.partial"):
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert damaged_files([results]) == []


def test_what_no_rule_makes_is_not_judged_and_cards_always_are(results):
    for name in ("notes.txt", "summary.csv", "mine.pdf"):
        (results / "tables" / name).write_text("by hand, no newline")
    weights(results).write_bytes(b"")
    found = damaged_files([results], made=lambda path: path.name == "summary.csv")
    assert found == [weights(results), results / "tables/summary.csv"]


def test_links_that_lead_nowhere_stop_nothing(results):
    (results / "tables/old.csv").symlink_to("gone")
    assert damaged_files([results]) == []
    bring_to_present([results], tell=print)


def test_other_folders_are_not_judged(results):
    weights(results).write_bytes(b"")
    assert damaged_files([results / "tables"]) == []


def test_removing_tells_and_removes_and_owes_until_it_is_settled(results):
    record, lines = results / "owed.json", []

    def removed(place=results):
        return remove_damaged([place], made=lambda _path: True, tell=lines.append, record=record)

    assert removed() == []
    assert not record.exists()
    weights(results).write_bytes(b"")
    assert removed() == [weights(results)]
    assert not weights(results).exists()
    assert len(lines) == 1
    assert "weights.safetensors is damaged" in lines[0]
    assert removed() == [weights(results)], "it has not been made again"
    assert removed(results / "tables") == [], "that one belongs to somebody else"
    settle(record, [results / "tables/other.csv"])
    assert removed() == [weights(results)]
    settle(record, [weights(results)])
    assert removed() == []
    assert len(lines) == 1


def test_nothing_is_removed_that_cannot_be_noted(results, monkeypatch):
    def refuse(path, _content):
        raise StorageError(f"cannot write {path}")

    monkeypatch.setattr(repair, "write_json", refuse)
    weights(results).write_bytes(b"")
    with pytest.raises(StorageError):
        remove_damaged([results], made=bool, tell=lambda _line: None, record=results / "owed.json")
    assert weights(results).exists()


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
