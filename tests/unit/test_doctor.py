"""What `make doctor` finds: each fault is named, with the way to mend it, and only a stopping one fails."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from heirloom.config.models import Body
from heirloom.doctor import announce as announcing
from heirloom.doctor import environment, hardware, run
from heirloom.doctor.disk import ability_findings, space_finding
from heirloom.doctor.report import WIDTH, Finding, Group, has_problem, rendered
from heirloom.doctor.speed import Trial, fitted, noise, step_seconds
from heirloom.doctor.wording import size, span
from heirloom.plan.plan import plan_of
from heirloom.plan.rates import FILE, Rate, Rates, write_rates
from heirloom.runtime import machine
from heirloom.runtime.devices import compute
from heirloom.runtime.errors import StorageError

PROJECT = Path(__file__).resolve().parents[2]
KEPT = {"poison", "faces", "real-sample"}  # studies that are examined beside the default one, as each takes its time
RATES = Rates("here", 1.0, (Rate("cpu", "fp32", 1, step=0.01, mac=1e-10, activation=0.0),))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with what doctor reads, in which nothing was computed; speed and gradients are not measured."""
    for name in ("config", "profiles", "requirements.lock", "pyproject.toml"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, tmp_path / name)
    for study in (tmp_path / "config/studies").glob("*.yaml"):
        if study.stem not in KEPT:
            study.unlink()
    (tmp_path / "workflow_scripts").mkdir()
    (tmp_path / "workflow_scripts/heirloom").symlink_to(Path(environment.heirloom.__file__).parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    monkeypatch.setattr("heirloom.doctor.speed.measure", lambda: RATES)
    monkeypatch.setattr("heirloom.doctor.hardware.gradient_finding", lambda: Finding("ok", "gradients", "right"))
    return tmp_path


def report(project, study=None, data=None):
    said = []
    status = run.examine(project=project, study=study, data=data, tell=said.append)
    return status, "\n".join(said)


def section(text, title):
    return text[text.index(f"\n{title}") :].split("\n\n")[0]


def test_the_default_study_can_start_though_others_lack_data(project):
    status, text = report(project)
    assert status == 0
    assert "0 problems" in text
    assert "71 to run of 71" in section(text, "study quickstart")
    assert "gtsrb-sample" in section(text, "study real-sample")
    assert "warning  missing" in section(text, "study real-sample")
    assert (project / FILE).is_file()
    assert "warning  missing" not in section(text, "study quickstart")


def test_what_the_study_asked_about_lacks_is_a_problem_with_its_instructions(project):
    status, text = report(project, study=Path("config/studies/real-sample.yaml"))
    assert status == 1
    sources = " ".join(section(text, "data sets and teachers").split())
    assert "problem gtsrb-sample not at hand: gtsrb.tar.xz to mend: put the folder gtsrb-sample or" in sources
    assert "docs/real-sample.md describes the archive" in sources
    _, text = report(project, study=Path("config/studies/poison.yaml"))
    assert "warning  gtsrb-sample" in section(text, "data sets and teachers")  # another study's


def test_an_absent_teacher_is_told_with_the_way_to_get_it(project):
    status, text = report(project, study=Path("config/studies/faces.yaml"))
    assert status == 1
    sources = " ".join(section(text, "data sets and teachers").split())
    assert (
        "problem vggface2-resnet50 not at hand: resnet50_ft_weight.pkl to mend: put resnet50_ft_weight.pkl" in sources
    )
    assert "cydonia999/VGGFace2-pytorch links it" in sources


def test_a_local_path_that_leads_nowhere_is_told(project):
    file = project / "config/teachers.yaml"
    name = "mobilenet_v2-keras-int8-derived.pth"
    assert f"{{name: {name}}}" in file.read_text()
    file.write_text(file.read_text().replace(f"{{name: {name}}}", f"{{name: {name}, local_path: nowhere.pth}}"))
    status, text = report(project)
    assert status == 0
    assert "local_path of mobilenet_v2-keras-int8-derived.pth is no file" in text


def test_what_lies_in_data_root_is_at_hand(project, tmp_path):
    data = tmp_path / "mine"
    (data / "below" / "MIT_67").mkdir(parents=True)
    (data / "CUB_200_2011.tgz").write_bytes(b"0" * 5000)
    (data / "resnet18-f37072fd.pth").write_bytes(b"0")
    _, text = report(project, data=data)
    sources = " ".join(section(text, "data sets and teachers").split())
    assert f"ok mit67 at hand, unpacked: {data}/below/MIT_67" in sources
    assert f"ok cub200 at hand: {data}/CUB_200_2011.tgz" in sources
    assert f"ok resnet18-imagenet at hand: {data}/resnet18-f37072fd.pth" in sources
    assert "ok resnet50-imagenet will be downloaded: resnet50-0676ba61.pth, about 102 MB" in sources
    poison = section(text, "study poison")
    assert "download                 none" in poison
    assert "files of cub200" not in poison
    assert "files of gtsrb" in poison


def test_a_study_that_cannot_be_read_is_named_and_the_others_are_told(project):
    (project / "config/studies/broken.yaml").write_text("name: broken\ntitle: x\nsedes: [1]\n")
    status, text = report(project)
    assert status == 0
    assert 'unknown key "sedes"' in section(text, "study broken")
    assert "study quickstart" in text


def test_a_speed_that_cannot_be_measured_leaves_times_unknown(project, monkeypatch):
    def fail():
        raise RuntimeError("no such device")

    monkeypatch.setattr("heirloom.doctor.speed.measure", fail)
    status, text = report(project)
    assert status == 0
    assert "no such device" in text
    assert "unknown until `make doctor` has measured" in section(text, "study quickstart")


# -- environment -------------------------------------------------------------------------------------------------------


def test_every_direct_dependency_is_looked_at_and_is_in_the_lock():
    names = environment.direct_dependencies(PROJECT)
    assert {"torch", "snakemake", "numpy"} <= set(names)
    assert not [name for name in names if name.lower() not in environment.locked(PROJECT / "requirements.lock")]


def test_another_version_is_a_warning_and_an_absent_package_a_problem():
    lock = {"numpy": {"0.0.1"}, "no-such-package": {"1.0"}}
    other, absent = environment.package_findings(["numpy", "no-such-package"], lock)
    assert (other.status, absent.status) == ("warning", "problem")
    assert "requirements.lock says 0.0.1" in other.what
    assert other.mend
    assert "not installed" in absent.what


def test_an_old_python_is_a_problem():
    assert environment.python_finding((3, 10), "3.10.1").status == "problem"
    assert environment.python_finding((3, 11), "3.11.0").status == "ok"


def test_the_library_of_another_folder_is_a_problem(tmp_path):
    found = environment.library_finding(Path("/elsewhere/heirloom"), tmp_path)
    assert found.status == "problem"
    assert "/elsewhere/heirloom" in found.what


def test_a_profile_that_reruns_after_a_checkout_is_a_warning(tmp_path):
    folder = tmp_path / "profiles/default"
    folder.mkdir(parents=True)
    (folder / "profile.yaml").write_text("rerun-triggers: [code, mtime]\n")
    assert environment.profile_finding(tmp_path, "").status == "warning"
    assert environment.profile_finding(PROJECT, "").status == "ok"
    assert environment.profile_finding(PROJECT, "no-such-profile").status == "warning"


# -- machine and disk --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("available", "limit", "status"), [(8e9, math.inf, "ok"), (1e9, math.inf, "warning"), (8e9, 2e9, "warning")]
)
def test_memory_is_what_the_container_leaves(available, limit, status):
    found = hardware.memory_finding(16e9, available, limit, needed=4e9)
    assert found.status == status
    assert ("container" in found.what) == (limit < 16e9)


def test_a_disk_that_is_too_small_is_a_warning():
    assert space_finding("results", 10, 11).status == "warning"
    assert space_finding("results", 11, 11).status == "ok"


def test_the_disk_is_tried_and_left_as_it_was(tmp_path):
    found = list(ability_findings(tmp_path / "results"))
    assert [finding.status for finding in found] == ["ok"] * 4
    assert not list((tmp_path / "results").iterdir())


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path):
    (tmp_path / "results").write_text("a file")
    (found,) = ability_findings(tmp_path / "results")
    assert found.status == "problem"
    assert found.mend


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    found = {finding.name: finding for finding in ability_findings(tmp_path)}
    assert found["kernel locks"].status == "warning"
    assert "two holders" in found["kernel locks"].what


def test_cores_and_memory_are_those_of_the_control_group(tmp_path, monkeypatch):
    (tmp_path / "job").mkdir()
    (tmp_path / "job/cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "job/memory.max").write_text("max\n")
    monkeypatch.setattr(machine, "_groups", lambda *_: [tmp_path / "job", tmp_path])
    assert machine.usable_cores(tmp_path) == 0.5
    assert machine.memory_limit(tmp_path) == 1e6


# -- speed -------------------------------------------------------------------------------------------------------------


def test_a_fit_finds_what_the_points_were_made_from():
    trials = [
        Trial(Body(name="resnet8-small", options={"width": 16}), 32, 64, 3),
        Trial(Body(name="resnet18"), 64, 16, 3),
        Trial(Body(name="mobilenet_v2"), 64, 16, 3),
    ]
    points = [(t, 0.01 + t.batch * (t.cost.macs * 1e-10 + t.cost.activations * 1e-8)) for t in trials]
    rate = fitted(points, device="cpu", precision="fp32", threads=1)
    assert (rate.step, rate.mac, rate.activation) == pytest.approx((0.01, 1e-10, 1e-8), rel=1e-6)


def test_a_step_is_timed_through_the_real_loop():
    trial = Trial(Body(name="resnet8-small", options={"width": 4}), 16, 4, 3)
    assert noise(trial).batch(noise(trial).rows).shape == (4, 18, 18, 3)
    with compute(1, "fp32") as resources:
        assert 0 < step_seconds(trial, resources) < 10


# -- words -------------------------------------------------------------------------------------------------------------


def test_sizes_and_times_are_written_for_people():
    assert [size(n) for n in (0, 999, 1234, 46_830_000, 999_900_000, 106e9)] == [
        "0 bytes", "999 bytes", "1.23 kB", "46.8 MB", "1000 MB", "106 GB",
    ]  # fmt: skip
    assert [span(s) for s in (3.21, 90, 7200, 200_000, 1e9)] == [
        "3.2 seconds", "1.5 minutes", "2.0 hours", "2.3 days", "32 years",
    ]  # fmt: skip


def test_the_report_is_aligned_and_says_how_to_mend_only_what_is_wrong():
    long = "word " * 60
    groups = [Group("one", (Finding("ok", "a", long, "never shown"), Finding("warning", "b", "bad", "do this")))]
    text = list(rendered(groups))
    assert max(map(len, text)) <= WIDTH
    assert "never shown" not in "\n".join(text)
    assert text[-3].strip() == "to mend: do this"
    assert text[-1] == "0 problems, 1 warnings"
    assert not has_problem(groups)


def test_a_start_on_a_disk_that_is_too_small_is_announced(project, monkeypatch, capsys):
    grid = run._open(project, Path("config/studies/poison.yaml"), None)
    monkeypatch.setattr(announcing, "free_bytes", lambda: 10**9)
    outputs = [f"{student.folder('poison')}/card.json" for student in grid.students]
    announcing.announce(plan_of(grid), planned=outputs, cores=2)
    said = capsys.readouterr().err
    students = len(grid.students)
    others = 61  # data, teachers, evaluations, tables
    assert f"{students:,} to run of {students + others:,} ({students:,} train_student)" in said
    assert "WARNING" in said
    assert "unknown until `make doctor`" in said


def test_an_announcement_knows_the_speed_of_this_machine_alone(project, capsys):
    grid = run._open(project, Path("config/config.yaml"), None)
    write_rates(Rates(machine.machine_name(), 1.0, RATES.rates))
    outputs = [f"{student.folder('quickstart')}/card.json" for student in grid.students]
    announcing.announce(plan_of(grid), planned=outputs, cores=1)
    announcing.announce(plan_of(grid), planned=outputs, cores=None)
    here, elsewhere = capsys.readouterr().err.split("heirloom: estimate")[1:]
    assert "at least" in here
    assert "other machines" in elsewhere


def test_an_estimate_that_fails_stops_nothing(project, capsys, monkeypatch):
    def fail(*_):
        raise StorageError("no disk")

    monkeypatch.setattr(announcing, "estimate_of", fail)
    announcing.announce(plan_of(run._open(project, Path("config/config.yaml"), None)), planned=(), cores=1)
    assert "no estimate: no disk" in capsys.readouterr().err
