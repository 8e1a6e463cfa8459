"""Studies and catalogues: what is refused, with which words, and how a study unfolds."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from heirloom.config import attack_experiments, paths, repairs
from heirloom.config.figures import figure_names
from heirloom.config.grid import Grid
from heirloom.config.load import load_catalogue, load_study
from heirloom.config.models import Dataset, Files, Preparation, RemoteFile
from heirloom.config.names import CLEAN
from heirloom.config.records import canonical
from heirloom.config.schema import schema_text
from heirloom.config.workflow import command_of, open_grid
from heirloom.defects.triggers.patch import Patch
from heirloom.plan.plan import plan_of
from heirloom.runtime.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[2]
STUDIES = sorted([PROJECT / "config/config.yaml", *(PROJECT / "config/studies").glob("*.yaml")])


@pytest.fixture
def content():
    """Quickstart with its first question alone."""
    study = yaml.safe_load((PROJECT / "config/config.yaml").read_text())
    first = study["experiments"]["same-data-set"] | {"methods": ["fine-tuning", "re-training"], "attention": None}
    return study | {"experiments": {"same-data-set": first}, "repair_experiments": {}, "attack_experiments": {}}


def grid_of(content):
    return Grid(*load_study(content, project=PROJECT, where="study.yaml"), "study.yaml")


def catalogue_copy(folder):
    """Copy the catalogues into a folder and return their content."""
    names = ("datasets", "teachers", "triggers", "injections")
    catalogue = {name: yaml.safe_load((PROJECT / f"config/{name}.yaml").read_text()) for name in names}
    for name, entries in catalogue.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(entries))
    return catalogue


def refusal(content):
    with pytest.raises(ConfigError) as caught:
        grid_of(content)
    return str(caught.value)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_that_ships_is_valid(path):
    grid = open_grid(yaml.safe_load(path.read_text()), config_files=[path], project=PROJECT)
    assert grid.students or repairs.judged(grid) or attack_experiments.attacked(grid)


def test_a_misspelt_key_is_answered_with_the_nearest_one(content):
    content["experiments"]["same-data-set"]["metods"] = ["fine-tuning"]
    message = refusal(content)
    assert 'unknown key "experiments.same-data-set.metods"' in message
    assert 'did you mean "methods"' in message
    assert "study.yaml" in message


def test_a_misspelt_key_deep_inside_a_recipe_is_answered_too(content):
    content["methods"]["fine-tuning"]["training"]["learning_rat"] = 1
    assert 'did you mean "learning_rate"' in refusal(content)


def test_a_wrong_value_is_answered_with_the_allowed_ones(content):
    content["methods"]["fine-tuning"]["training"]["schedule"] = "linear"
    message = refusal(content)
    assert "'linear'" in message
    assert "'cosine' or 'constant'" in message


def test_every_mistake_is_told_at_once(content):
    content["sedes"] = [1]
    content["methods"]["fine-tuning"]["training"]["iterations"] = 0
    message = refusal(content)
    assert '"sedes"' in message
    assert "iterations" in message


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("teachers", "narrow-objects"),
        ("injections", "signs-backdoor"),
        ("datasets", "signs"),
        ("methods", "re-training"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(content, key, known):
    content["experiments"]["same-data-set"][key] = [known[:-1] + "x"]
    message = refusal(content)
    assert f"experiments.same-data-set.{key}" in message
    assert known in message


def test_an_unknown_method_of_the_registry_is_refused_before_any_job(content):
    content["methods"]["fine-tuning"]["kind"] = "fine-tunning"
    message = refusal(content)
    assert "methods.fine-tuning.kind" in message
    assert 'did you mean "fine-tuning"' in message


def test_no_key_of_quickstart_reaches_another_study(content):
    other = copy.deepcopy(content)
    del other["evaluation_threads"]
    other["name"] = "other"
    grid = open_grid(other, config_files=["other.yaml"], project=PROJECT)
    assert content["evaluation_threads"] != grid.study.evaluation_threads
    assert grid.study.name == "other"


def test_a_method_s_own_setting_is_checked_and_told_by_the_user_s_keys(content):
    content["methods"]["magnitude-pruning"]["ratio"] = 1.5
    message = refusal(content)
    assert '"methods.magnitude-pruning.ratio" is wrong' in message
    content["methods"]["fine-tuning"]["ratio"] = content["methods"]["magnitude-pruning"].pop("ratio")
    message = refusal(content)
    assert 'unknown key "methods.fine-tuning.ratio"' in message
    assert 'the key "methods.magnitude-pruning.ratio" is missing' in message
    del content["methods"]["fine-tuning"]["kind"]
    assert 'the key "methods.fine-tuning.kind" is missing' in refusal(content)


def test_the_old_spelling_of_a_method_s_kind_is_answered_with_the_new_one(content):
    content["methods"]["fine-tuning"]["method"] = content["methods"]["fine-tuning"].pop("kind")
    message = refusal(content)
    assert '"methods.fine-tuning.method" is now spelled "methods.fine-tuning.kind"' in message


def test_poison_has_the_clean_injection_as_its_control_and_no_trigger(content):
    content["experiments"]["same-data-set"]["injections"] = ["signs-poison"]
    grid = grid_of(content)
    assert [evaluation.injection for evaluation in grid.evaluations] == ["signs-clean", "signs-poison"]
    assert grid.description_of(grid.evaluations[1])["control"] == "signs-clean"
    assert grid.targets_of(grid.evaluations[1]) == {}
    assert grid.triggers_in("signs-poison") == {}


def test_two_studies_at_once_are_refused(content):
    with pytest.raises(ConfigError, match="more than one study"):
        open_grid(content, config_files=["a.yaml", "b.yaml"], project=PROJECT)


def test_command_line_values_reach_the_default_study():
    grid = open_grid({"data_root": "elsewhere"}, config_files=[], project=PROJECT)
    assert (grid.study.name, grid.study.data_root) == ("quickstart", "elsewhere")


def test_where_files_lie_is_no_part_of_the_digest(content):
    assert grid_of(content).digest == grid_of(content | {"data_root": "elsewhere"}).digest
    assert grid_of(content).digest != grid_of(content | {"seeds": [2]}).digest


def with_file(grid, file):
    """The grid, with `signs` made of one file."""
    entry = grid.dataset("signs").model_copy(update={"source": Files(kind="files", files=(file,))})
    datasets = {**grid.catalogue.datasets, "signs": entry}
    return replace(grid, catalogue=grid.catalogue.model_copy(update={"datasets": datasets}))


def test_a_local_path_reaches_the_stages_but_no_digest(content):
    here = with_file(grid_of(content), RemoteFile(name="x.zip", local_path="/disk/x.zip"))
    there = with_file(grid_of(content), RemoteFile(name="x.zip"))
    assert here.local_paths == {"datasets.signs": {"x.zip": "/disk/x.zip"}}
    assert there.local_paths == {}
    assert here.digest == there.digest
    assert here.digest != with_file(grid_of(content), RemoteFile(name="y.zip")).digest


def test_controls_join_the_experiment_of_their_injection(content):
    grid = grid_of(content)
    assert grid.infected_teachers == [("narrow-objects", "signs-backdoor"), ("narrow-objects", "signs-clean")]


def test_a_control_that_differs_in_more_than_the_defect_is_refused(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    catalogue["injections"]["signs-clean"]["seed"] = 99
    (tmp_path / "injections.yaml").write_text(yaml.safe_dump(catalogue["injections"]))
    message = refusal(content | {"catalogues": [str(tmp_path)]})
    assert '"signs-backdoor" and its control "signs-clean" differ in "seed"' in message


def test_a_name_in_two_catalogues_is_refused(tmp_path):
    text = (PROJECT / "config/triggers.yaml").read_text()
    (tmp_path / "triggers.yaml").write_text(text)
    with pytest.raises(ConfigError, match="defined twice"):
        load_catalogue([PROJECT / "config", tmp_path])


def test_a_target_is_known_only_where_the_classes_are_the_triggers_own(content):
    grid = grid_of(content)
    evaluation = grid.evaluations[0]
    assert grid.targets_of(evaluation) == {"pinwheel": 0}
    assert grid.judges_teacher(evaluation)
    content["experiments"]["same-data-set"]["datasets"] = ["objects"]
    content["preparations"]["objects"] = "small"
    across = grid_of(content)
    assert across.targets_of(across.evaluations[0]) == {"pinwheel": None}
    assert not across.judges_teacher(across.evaluations[0])


def faces(**experiments):
    """The grid of the study of faces; experiments replaced as told, None leaves one out."""
    study = yaml.safe_load((PROJECT / "config/studies/faces.yaml").read_text())
    changed = study["experiments"] | experiments
    return grid_of(study | {"experiments": {name: entry for name, entry in changed.items() if entry}})


def test_a_fetched_teacher_is_judged_itself_where_its_classes_are_known():
    grid = faces()
    judged = {(each.injection, each.dataset): grid.judges_teacher(each) for each in grid.evaluations}
    assert judged == {
        ("none", "vggface2"): True,
        ("none", "pubfig83"): False,
        ("pubfig83-clean", "pubfig83"): True,
        ("pubfig83-backdoor", "pubfig83"): True,
    }
    alone = next(each for each in grid.evaluations if each.dataset == "vggface2")
    assert grid.students_of(alone) == []
    assert grid.description_of(alone)["experiments"]["teacher-alone"]["methods"] == []
    assert not [student for student in grid.students if student.evaluation == alone]
    infected = next(each for each in grid.evaluations if each.injection == "pubfig83-backdoor")
    assert grid.targets_of(infected) == {"pinwheel": 0}


def test_an_experiment_may_name_no_method_only_where_every_teacher_is_judged_itself():
    alone = yaml.safe_load((PROJECT / "config/studies/faces.yaml").read_text())["experiments"]["teacher-alone"]
    grid = faces(**{"clean-transfer": None, "backdoor": None})
    assert (grid.students, len(grid.evaluations), grid.dataset_names) == ([], 1, ["vggface2"])
    with pytest.raises(ConfigError) as caught:
        faces(**{"teacher-alone": alone | {"datasets": ["vggface2", "pubfig83"]}})
    assert 'the teacher "vggface2-resnet50" (injection none) itself does not know the classes of "pubfig83"' in str(
        caught.value
    )
    assert "experiments.teacher-alone.methods" in caught.value.where


def test_a_fetched_teacher_of_an_unknown_data_set_is_refused(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    catalogue["teachers"]["resnet18-imagenet"]["source"]["dataset"] = "sings"
    (tmp_path / "teachers.yaml").write_text(yaml.safe_dump(catalogue["teachers"]))
    content["experiments"]["same-data-set"]["teachers"] = ["resnet18-imagenet"]
    message = refusal(content | {"catalogues": [str(tmp_path)]})
    assert "teachers.resnet18-imagenet.source.dataset" in message
    assert 'did you mean "signs"' in message


def test_ways_to_get_files_are_told_by_the_entrys_key():
    ways = faces().instructions
    assert "cydonia999/VGGFace2-pytorch" in ways["teachers.vggface2-resnet50"]
    assert "identity_meta.csv" in ways["datasets.vggface2"]


def test_students_shared_by_two_experiments_are_trained_once(content):
    once = grid_of(content).students
    content["experiments"]["again"] = content["experiments"]["same-data-set"]
    grid = grid_of(content)
    assert grid.students == once
    assert sorted(grid.description_of(grid.evaluations[0])["experiments"]) == ["again", "same-data-set"]


def test_an_experiment_answers_only_for_its_own_methods(content):
    content["experiments"]["narrow"] = content["experiments"]["same-data-set"] | {"methods": ["fine-tuning"]}
    grid = grid_of(content)
    scopes = grid.description_of(grid.evaluations[0])["experiments"]
    assert scopes["narrow"]["attacks"] == ["pinwheel"]
    assert scopes["narrow"]["methods"] == ["fine-tuning"]
    assert scopes["same-data-set"]["methods"] == ["fine-tuning", "re-training"]


def test_one_trigger_with_two_targets_is_refused(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    other = catalogue["injections"]["signs-backdoor"] | {"target": 5}
    (tmp_path / "injections.yaml").write_text(yaml.safe_dump(catalogue["injections"] | {"other-backdoor": other}))
    content["experiments"]["same-data-set"]["injections"].append("other-backdoor")
    assert '"pinwheel" with two different targets' in refusal(content | {"catalogues": [str(tmp_path)]})


def test_each_student_sees_the_trigger_its_teacher_learned_and_a_control_those_of_all(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    other = catalogue["injections"]["signs-backdoor"] | {"trigger": "pinwheel-corners"}
    (tmp_path / "injections.yaml").write_text(yaml.safe_dump(catalogue["injections"] | {"corners": other}))
    content["experiments"]["same-data-set"]["injections"] = ["none", "signs-backdoor", "corners", "signs-poison"]
    grid = grid_of(content | {"catalogues": [str(tmp_path)]})
    assert {evaluation.injection: grid.triggers_of(evaluation) for evaluation in grid.evaluations} == {
        "corners": ["pinwheel-corners"],
        "none": ["pinwheel", "pinwheel-corners"],
        "signs-backdoor": ["pinwheel"],
        "signs-clean": ["pinwheel", "pinwheel-corners"],
        "signs-poison": [],
    }


def test_labels_that_are_not_given_are_no_parameters(content):
    grid = grid_of(content)
    assert {"target", "portion", "trigger"} <= grid.injection_recipe("signs-backdoor").keys()
    assert "control" not in grid.injection_recipe("signs-backdoor")
    assert not {"target", "portion", "wrong_labels"} & grid.injection_recipe("signs-clean").keys()
    assert "target" not in grid.injection_recipe("signs-poison")


def latent_study(content, tmp_path, **changes):
    """Quickstart's first question about a latent backdoor, in a catalogue of its own."""
    catalogue = catalogue_copy(tmp_path)
    settings = {"kind": "latent-backdoor", "latent": {"stage": 3, "feature_weight": 1}}
    entry = catalogue["injections"]["signs-backdoor"] | settings | changes
    (tmp_path / "injections.yaml").write_text(yaml.safe_dump(catalogue["injections"] | {"signs-latent": entry}))
    content["experiments"]["same-data-set"]["injections"] = ["signs-latent"]
    return content | {"catalogues": [str(tmp_path)]}


def test_a_latent_backdoor_is_judged_shown_and_described_as_any_other(content, tmp_path):
    study = latent_study(content, tmp_path)
    study["experiments"]["same-data-set"]["datasets"] = ["signs", "rooms"]
    grid = grid_of(study)
    targets = {(each.injection, each.dataset): grid.targets_of(each) for each in grid.evaluations}
    known, unknown = {"pinwheel": 0}, {"pinwheel": None}
    assert targets == {
        (injection, dataset): known if dataset == "signs" else unknown
        for injection in ("signs-clean", "signs-latent")
        for dataset in ("signs", "rooms")
    }
    assert grid.controls == {"signs-latent": "signs-clean"}
    assert grid.defects == ["signs-latent"]
    assert grid.sheet_of("signs-latent")["injection"]["kind"] == "latent-backdoor"
    assert grid.injection_recipe("signs-latent")["latent"]["stage"] == 3
    assert "latent" not in grid.injection_recipe("signs-clean")


def test_a_latent_backdoor_at_a_stage_that_the_teacher_does_not_have_is_refused(content, tmp_path):
    study = latent_study(content, tmp_path, latent={"stage": 4, "feature_weight": 1})
    message = refusal(study)
    assert '"narrow-objects" has 3 stages, but "signs-latent" is planted at stage 4' in message
    assert "choose a stage from 1 to 3" in message


def test_students_may_learn_the_data_set_of_their_injection_alone(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    clean, bad = (catalogue["injections"][f"signs-{name}"] | {"dataset": "rooms"} for name in ("clean", "backdoor"))
    more = {"rooms-clean": clean, "rooms-backdoor": bad | {"control": "rooms-clean"}}
    (tmp_path / "injections.yaml").write_text(yaml.safe_dump(catalogue["injections"] | more))
    first = content["experiments"]["same-data-set"]
    first |= {"injections": ["signs-backdoor", "rooms-backdoor"], "datasets": ["signs", "rooms"], "same_data_set": True}
    content["catalogues"] = [str(tmp_path)]
    found = [(each.injection, each.dataset) for each in grid_of(content).evaluations]
    assert found == [(f"{name}-{kind}", name) for name in ("rooms", "signs") for kind in ("backdoor", "clean")]
    first["injections"] = ["signs-backdoor"]
    assert "the injections were made on signs, the students learn rooms, signs" in refusal(content)
    first["injections"] = ["none", "signs-backdoor"]
    assert "leave same_data_set out" in refusal(content)
    first |= {"injections": ["signs-backdoor", "rooms-backdoor"], "injection_baseline": "signs-backdoor"}
    assert "make an experiment for each data set" in refusal(content)


@pytest.mark.parametrize(("key", "name"), [("name", "shared"), ("methods", "teacher")])
def test_names_with_a_meaning_of_their_own_are_refused(content, key, name):
    if key == "methods":
        content["methods"][name] = content["methods"]["fine-tuning"]
    else:
        content[key] = name
    assert f'"{name}" has a meaning of its own' in refusal(content)


def test_one_file_name_for_two_downloads_is_refused(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    twin = copy.deepcopy(catalogue["datasets"]["mit67"])
    twin["source"]["files"][1]["urls"] = ["https://elsewhere.example/TrainImages.txt"]
    (tmp_path / "datasets.yaml").write_text(yaml.safe_dump(catalogue["datasets"] | {"twin": twin}))
    message = refusal(content | {"catalogues": [str(tmp_path)]})
    assert '"TrainImages.txt" is downloaded from other addresses for datasets.mit67' in message
    assert "datasets.twin" in message


def test_addresses_are_no_parameters_but_reach_the_stages(content):
    near = with_file(grid_of(content), RemoteFile(name="x.zip", urls=("https://a.example/x.zip",)))
    far = with_file(grid_of(content), RemoteFile(name="x.zip", urls=("https://a.example/x.zip", "https://b.example/x")))
    assert near.digest == far.digest
    assert canonical(near.files("signs")) == canonical(far.files("signs"))
    assert far.addresses["datasets.signs"] == {"x.zip": ["https://a.example/x.zip", "https://b.example/x"]}


def test_a_backdoor_without_a_control_is_refused(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    del catalogue["injections"]["signs-backdoor"]["control"]
    (tmp_path / "injections.yaml").write_text(yaml.safe_dump(catalogue["injections"]))
    assert '"signs-backdoor" has no control' in refusal(content | {"catalogues": [str(tmp_path)]})


def test_an_unknown_option_of_a_body_is_refused(content, tmp_path):
    catalogue = catalogue_copy(tmp_path)
    catalogue["teachers"]["narrow-objects"]["body"]["options"] = {"widht": 8}
    (tmp_path / "teachers.yaml").write_text(yaml.safe_dump(catalogue["teachers"]))
    assert 'did you mean "width"' in refusal(content | {"catalogues": [str(tmp_path)]})


def test_words_and_intervals_are_no_parameters(content):
    grid = grid_of(content)
    assert "title" not in grid.trigger_recipe("pinwheel")
    assert grid_of(content | {"checkpoint_seconds": 5}).digest == grid.digest


def test_a_control_s_name_is_no_parameter_of_the_training(content):
    assert "control" not in grid_of(content).injection_recipe("signs-backdoor")


def test_equal_settings_are_equal_parameters():
    trigger = Patch(image="a.png", side="40/224")
    assert trigger.side == pytest.approx(40 / 224)
    assert canonical(trigger) == canonical(Patch(side="40/224", image="a.png"))
    assert list(canonical(trigger)) == sorted(canonical(trigger))


def test_a_crop_larger_than_its_image_is_refused():
    with pytest.raises(ValueError, match="at most size"):
        Preparation(size=32, crop=64)


def test_a_middle_that_the_stored_image_cannot_give_is_refused():
    entry = {
        "title": "x",
        "layout": "folder",
        "source": {"kind": "files", "folders": ["x"]},
        "preparations": {"px224": {"size": 256, "crop": 224}},
        "augmentation": {"crop": "none", "middle": "224/256"},
    }
    Dataset.model_validate(entry)
    whole = {"px224": {"size": 224, "crop": 224}}
    with pytest.raises(ValueError, match="asks for 256 pixels, of which the preparation px224 stores 224"):
        Dataset.model_validate(entry | {"preparations": whole})
    Dataset.model_validate(entry | {"preparations": whole, "augmentation": {"crop": "resized", "middle": "224/256"}})


def test_a_checksum_without_its_source_is_refused():
    with pytest.raises(ValueError, match="sha256_source"):
        RemoteFile(name="a.zip", sha256="0" * 64)


def test_logs_and_benchmarks_are_named_after_their_rule():
    folder = paths.teacher_folder("t", CLEAN)
    assert (
        paths.record(folder, "pretrain_teacher", "logs") == "results/shared/logs/pretrain_teacher/teachers.t.none.log"
    )


def test_the_schema_that_ships_is_the_models_own():
    assert (PROJECT / "config/schema.json").read_text() == schema_text(), "run `make schema`"


def test_every_injection_that_ships_fits_its_control_and_its_data():
    names = load_catalogue([PROJECT / "config"]).injections
    content = yaml.safe_load((PROJECT / "config/studies/backdoor.yaml").read_text())
    asked = {"question": "?", "teachers": ["resnet18-imagenet"], "datasets": ["gtsrb"], "methods": ["re-training"]}
    grid = grid_of(content | {"experiments": {"all": asked | {"injections": list(names)}}})
    assert grid.injection_names == sorted(names)
    assert sorted(grid.controls) == grid.defects


# -- the report --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("config/config.yaml", "make results"),
        ("config/studies/mine.yaml", "make results STUDY=mine"),
        ("mine/own.yaml", "snakemake --cores all --configfile mine/own.yaml"),
        (str(Path.cwd() / "mine/own.yaml"), "snakemake --cores all --configfile mine/own.yaml"),
        ("/elsewhere/own.yaml", "snakemake --cores all --configfile own.yaml"),
    ],
)
def test_the_report_names_the_command_that_runs_its_study_again(content, where, command):
    assert command_of(replace(grid_of(content), where=where)) == command


def test_the_command_asks_for_a_folder_where_the_study_needs_files():
    study = PROJECT / "config/studies/backdoor.yaml"
    grid = open_grid(yaml.safe_load(study.read_text()), config_files=["config/studies/backdoor.yaml"], project=PROJECT)
    assert command_of(grid) == "make results STUDY=backdoor"  # everything has an address
    study = PROJECT / "config/studies/real-sample.yaml"
    grid = open_grid(yaml.safe_load(study.read_text()), config_files=[str(study)], project=PROJECT)
    assert command_of(grid).endswith("DATA=FOLDER")


def test_histories_are_those_of_students_and_of_teachers_after_an_injection(content):
    (drawn,) = plan_of(grid_of(content)).of("draw_figures")
    found = drawn.settings["trainings"]
    teachers = [keys for keys in found if keys["method"] == "teacher"]
    assert {keys["injection"] for keys in teachers} == {"signs-backdoor", "signs-clean"}
    assert all("seed" not in keys for keys in teachers)
    assert len(found) == len(teachers) + len(grid_of(content).students)


def test_only_what_shows_in_pictures_changes_a_contact_sheets_parameters(content, tmp_path):
    grid = grid_of(content)
    assert grid.defects == ["signs-backdoor"]
    assert figure_names(grid)[-1] == "contact_sheet_signs-backdoor"
    catalogue = catalogue_copy(tmp_path)["injections"]
    content["catalogues"] = [str(tmp_path)]
    training = catalogue["signs-clean"]["training"] | {"iterations": 7}
    slower = {name: entry | {"training": training, "update_ratio": 0.1} for name, entry in catalogue.items()}
    fewer = catalogue | {"signs-backdoor": catalogue["signs-backdoor"] | {"portion": 0.1}}
    for entries, same in ((slower, True), (fewer, False)):
        (tmp_path / "injections.yaml").write_text(yaml.safe_dump(entries))
        assert (grid_of(content).sheet_of("signs-backdoor") == grid.sheet_of("signs-backdoor")) == same
