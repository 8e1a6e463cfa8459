"""A face network from its own file, a pickle of Python 2, to a student, and itself judged on its own people."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet
import pytest
import torch

from tests.unit.data_samples import write_people
from tests.unit.face_network import arrays_of, logits_of, of_python2
from tests.workflow.project import new_project

pytestmark = pytest.mark.slow

STUDY = "study/faces.yaml"
SUMMARY = "results/tiny-faces/tables/summary.parquet"


@pytest.fixture
def faces(tmp_path):
    project = new_project(tmp_path / "project", STUDY)
    (project.folder / "own").mkdir()
    return project


def test_a_face_network_is_told_to_be_absent_with_the_way_to_get_it(faces):
    stopped = faces.snakemake("results/shared/teachers/face-network/none/card.json")
    output = stopped.stdout + stopped.stderr
    assert stopped.returncode != 0
    assert "resnet50_ft_weight.pkl" in output
    assert "ask its converter" in output


def test_its_file_becomes_a_teacher_that_is_judged_itself_and_a_student(faces):
    write_people(faces.folder / "own")
    arrays = arrays_of(width=1, classes=3, seed=4)  # of which it names two
    (faces.folder / "own/resnet50_ft_weight.pkl").write_bytes(of_python2(arrays, 0))
    done = faces.snakemake(SUMMARY)
    assert done.returncode == 0, done.stdout + done.stderr
    evaluations = faces.folder / "results/tiny-faces/evaluations/face-network/none"

    images = np.load(faces.folder / "results/shared/data/people/tiny/test/images.npy")
    centre = torch.from_numpy(images[:, 2:34, 2:34]).permute(0, 3, 1, 2) / 255
    expected = logits_of(arrays, centre).argmax(dim=1)
    alone = pyarrow.parquet.read_table(evaluations / "people/predictions.parquet")
    assert set(alone["method"].to_pylist()) == {"teacher"}
    assert alone["prediction"].to_pylist() == expected.tolist()
    assert len(set(expected.tolist())) > 1

    students = pyarrow.parquet.read_table(evaluations / "faces/predictions.parquet")
    assert set(students["method"].to_pylist()) == {"fine-tuning"}
    rows = pyarrow.parquet.read_table(faces.folder / SUMMARY).to_pylist()
    measured = {(row["experiment"], row["dataset"], row["method"]): row["mean"] for row in rows}
    assert measured.keys() == {("teacher-alone", "people", "teacher"), ("transfer", "faces", "fine-tuning")}
    hits = sum(a == b for a, b in zip(expected.tolist(), alone["label"].to_pylist(), strict=True))
    assert measured["teacher-alone", "people", "teacher"] == hits / len(expected)

    faces.change_study(experiments={"teacher-alone": faces.study()["experiments"]["teacher-alone"]}, name="alone")
    done = faces.snakemake()  # nobody is trained: the tables, figures and report are of the teacher alone
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Does the teacher name its people?" in (faces.folder / "results/alone/report.html").read_text()
