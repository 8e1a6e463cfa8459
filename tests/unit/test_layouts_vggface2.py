"""The reader of VGGFace2: whom it lists, in which order, and which pictures become its test part."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from heirloom.data.layouts import vggface2
from heirloom.data.listing import Listing
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import PEOPLE, make_raw, prepare, save_picture, shuffle_listings, write_people


def part(listed: Listing, name: str) -> list[str]:
    return [sample.identifier for sample in listed.samples if sample.part == name]


@pytest.mark.parametrize("place", [".", "meta"])
def test_training_people_are_listed_in_the_owners_order_with_their_names(tmp_path, monkeypatch, place):
    write_people(tmp_path, place=place)
    listed = vggface2.read(tmp_path)
    assert listed.problems == ()
    assert listed.classes == ("Bo,_Nine (n000009)", "C._Two", "Bo,_Nine (n000005)")
    assert {sample.identifier.split("/")[0]: sample.label for sample in listed.samples} == {
        "n000009": 0,
        "n000002": 1,
        "n000005": 2,
    }
    assert not [sample for sample in listed.samples if "n000001" in sample.identifier]
    shuffle_listings(monkeypatch)
    assert vggface2.read(tmp_path) == listed


def test_two_pictures_of_each_person_are_held_out_and_the_rule_says_that_the_networks_saw_them(tmp_path):
    write_people(tmp_path / "here")
    listed = vggface2.read(tmp_path / "here")
    assert Counter(sample.label for sample in listed.samples if sample.part == "test") == {0: 2, 1: 2, 2: 2}
    assert len(part(listed, "development")) == 6
    assert listed.test_split.startswith("2 training pictures of each person, by seed 2; the owners' networks have seen")
    shutil.copytree(tmp_path / "here", tmp_path / "there" / "deeper")
    extra = tmp_path / "there" / "deeper" / "VGGFace2"
    (extra / "identity_meta.csv").write_text(PEOPLE + 'n000011, "D", 3, 1, f\n')
    for number in range(3):
        save_picture(extra / "train" / "n000011" / f"{number:04d}_01.jpg", seed=50 + number)
    more = part(vggface2.read(tmp_path / "there"), "test")
    assert [name for name in more if not name.startswith("n000011")] == part(listed, "test")


def test_what_cannot_be_used_is_told_together(tmp_path):
    table = PEOPLE + 'n000002, "again", 1, 1, f\nnobody\nn000012, "E", 3, 1, m\nn000013, "F", 3, 2, m\n'
    folder = write_people(tmp_path / "raw" / "files", table=table)
    save_picture(folder / "train" / "n000007" / "0001_01.jpg", seed=70)
    save_picture(folder / "train" / "n000012" / "0001_01.jpg", seed=71)
    with pytest.raises(DataError, match="5 pictures of the data set cannot be used") as refused:
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="vggface2")
    for finding in (
        "line 6 is no further person: 'n000002, again, 1, 1, f'",
        "line 7 is no further person: 'nobody'",
        "line 9 is no further person",
        "train/n000007: a training folder of a person that identity_meta.csv does not name as one",
        "train/n000012: 1 pictures, and 2 are held out",
    ):
        assert finding in str(refused.value)


@pytest.mark.parametrize("table", ["Class_ID, Name, Sample_Num, Flag, Gender\n", PEOPLE.replace(" 1,", " 0,"), "x,y\n"])
def test_a_list_without_training_people_is_refused(tmp_path, table):
    write_people(tmp_path, table=table.replace(",4,1, f,", ",4,0, f,"))
    with pytest.raises(DataError, match="names no two training people"):
        vggface2.read(tmp_path)


def test_an_absent_list_and_an_absent_folder_are_told_with_what_to_put_where(tmp_path):
    folder = write_people(tmp_path)
    (folder / "identity_meta.csv").unlink()
    with pytest.raises(DataError, match="no list of the people") as refused:
        vggface2.read(tmp_path)
    assert "beside train" in refused.value.mend
    with pytest.raises(DataError, match="no VGGFace2 found"):
        vggface2.read(folder / "test")
