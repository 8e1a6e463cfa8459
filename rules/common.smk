"""
The helpers by which every rule states what its job needs.

INPUTS:     the study (GRID)
OUTPUTS:    none
"""

import gc
import os
from functools import cache
from importlib.metadata import version

from snakemake.persistence import PersistenceBase

from heirloom.attacks.catalogue import LIBRARIES, WHITE_BOX
from heirloom.config import attacking, attention, repairs, robust_models
from heirloom.config.grid import Grid
from heirloom.config.kinds import BODIES
from heirloom.config.attacks import FeatureAttack, NoiseAttack
from heirloom.config.models import Pruning
from heirloom.config.names import CLEAN, OWN_BOX
from heirloom.config.records import Attacked, Evaluation, Repaired, Student, canonical
from heirloom.config.robust import CorruptedFiles
from heirloom.config.resources import NEEDS, gpu_request
from heirloom.runtime.digest import code_digest

# Threads that wait for each other spin only briefly (GNU OpenMP) before they sleep: on a machine that also does
# something else, a spinning thread holds the core that the other one needs, and two trainings side by side come almost
# to a halt. Jobs inherit it; no result depends on it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Snakemake loads pandas to compare parameters with the last run's; none here is a pandas object, all others it compares
# without (docs/scale.md).
PersistenceBase._serialize_param = property(lambda persistence: persistence._serialize_param_builtin)

# While Snakemake plans, its jobs only grow in number: walking through all of them again and again in search of garbage
# is a sixth of the time (docs/scale.md).
gc.set_threshold(50_000, 20, 100)


def only(names):
    """Wildcard constraint that admits these names alone; nothing when there is none."""
    return "|".join(names) if names else "(?!)"


def code_of(stage, modules=lambda wildcards: ()):
    """Parameter function: digest of the code that a stage and the registry entries of its recipe run."""
    return lambda wildcards: code_digest(stage, *modules(wildcards))


def resources_of(rule):
    """Resources of a rule; memory and time double with each attempt."""
    need = NEEDS[rule]
    requested = cache(gpu_request)  # not counted anew for every job
    return {
        "gpu": lambda wildcards: requested(rule, remote=workflow.non_local_exec),
        "mem_mb": lambda wildcards, attempt: need.mem_mb * 2 ** (attempt - 1),
        "runtime": lambda wildcards, attempt: need.runtime * 2 ** (attempt - 1),
    }


def prepared(folder, part):
    """Inputs that are one part of a prepared data set: its card carries the content of the big files."""
    return {
        "card": f"{folder}/card.json",
        "images": ancient(f"{folder}/{part}/images.npy"),
        "index": ancient(f"{folder}/{part}/index.parquet"),
    }


def model(folder, prefix="teacher_"):
    """Inputs that are one trained model: its card carries the content of the weights."""
    return {
        f"{prefix}card": f"{folder}/card.json",
        f"{prefix}weights": ancient(f"{folder}/weights.safetensors"),
    }


def log_of(rule, folder):
    """Path of a rule's log."""
    return paths.record(folder, rule, "logs")


def benchmark_of(rule, folder):
    """Path of a rule's benchmark."""
    return paths.record(folder, rule, "benchmarks")


def body_code(teacher):
    """Module that builds a teacher's body."""
    return [BODIES.member(GRID.teacher(teacher).body.name).builder]


def reader_code(teacher):
    """Module that reads other people's weight files for a teacher's body."""
    return [BODIES.member(GRID.teacher(teacher).body.name).reader]


def method_of(wildcards):
    """Recipe by which a student is trained."""
    return GRID.method(wildcards.method, wildcards.dataset)


def method_code(wildcards):
    """Modules that a student's recipe and body run."""
    recipe = method_of(wildcards)
    scores = [SCORES[recipe.score.kind]] if isinstance(recipe, Pruning) else []
    return [METHODS[recipe.method], *scores, *body_code(wildcards.teacher)]


def trigger_picture(name):
    """Path of a trigger's picture from the working folder, so that it is the same in every clone."""
    return os.path.relpath(Path(workflow.basedir) / GRID.catalogue.triggers[name].image)


def evaluation_of(wildcards):
    """The grid's record behind the wildcards."""
    return Evaluation(wildcards.teacher, wildcards.injection, wildcards.dataset)


def student_of(wildcards):
    """The grid's record of a student."""
    return Student(evaluation_of(wildcards), wildcards.method, int(wildcards.seed))


def candidates_of(wildcards):
    """Inputs: cards of all candidates and seeds, and weights and histories of each candidate's own seed."""
    evaluation = evaluation_of(wildcards)
    names = GRID.trained_for(wildcards.method)
    seeds = GRID.study.seeds
    own = [Student(evaluation, name, int(wildcards.seed)).folder(STUDY) for name in names]
    folders = [Student(evaluation, name, seed).folder(STUDY) for name in names for seed in seeds]
    return {
        "cards": [f"{folder}/card.json" for folder in folders],
        "weights": ancient([f"{folder}/weights.safetensors" for folder in own]),
        "histories": ancient([f"{folder}/history.parquet" for folder in own]),
    }


def known_slice(wildcards):
    """Inputs: the slice of the teacher that an attacker knows, if any."""
    known = GRID.slice_of(wildcards.attack)
    folders = [paths.slice_folder(study=STUDY, **vars(evaluation_of(wildcards)), method=known)] if known else []
    return {
        "slice_card": [f"{folder}/card.json" for folder in folders],
        "slice_weights": ancient([f"{folder}/weights.safetensors" for folder in folders]),
    }


def reversed_trigger(wildcards):
    """Inputs: what a detector found in the teacher, if the method unlearns it."""
    found = GRID.detection_of(evaluation_of(wildcards), wildcards.method)
    folders = [found.folder(STUDY)] if found else []
    return {
        "detection_card": [f"{folder}/card.json" for folder in folders],
        "detection_reversed": ancient([f"{folder}/reversed.npy" for folder in folders]),
    }


def libraries_of(attacks):
    """Other people's code that attacks run, with its version; our own is in the digest."""
    names = {LIBRARIES[attack.kind] for attack in attacks if attack.kind in LIBRARIES}
    return {name: version(name) for name in sorted(names)}


def crafted_attacks(wildcards, chosen=Grid.attacks_of):
    """Inputs: the attacks that were crafted once for all students of an evaluation, as far as they are chosen."""
    evaluation = evaluation_of(wildcards)
    names = chosen(GRID, evaluation, FeatureAttack)
    folders = [paths.attack_folder(study=STUDY, **vars(evaluation), attack=name) for name in names]
    return {
        "perturbation_cards": [f"{folder}/card.json" for folder in folders],
        "perturbations": ancient([f"{folder}/perturbations.npy" for folder in folders]),
    }


def attacks_of(kind, chosen=Grid.attacks_of):
    """Parameter function: attacks of one kind that the students of an evaluation see, by name."""
    return lambda wildcards: {name: GRID.attack_recipe(name) for name in chosen(GRID, evaluation_of(wildcards), kind)}


def named(students):
    """What a stage is told of students whose files it is given."""
    return [{"method": student.method, "seed": student.seed} for student in students]


def judged_models(wildcards, students):
    """Inputs: cards and weights of students of an evaluation and, where it can be judged, of their teacher."""
    evaluation = evaluation_of(wildcards)
    students = [student.folder(STUDY) for student in students]
    teachers = [paths.teacher_folder(wildcards.teacher, wildcards.injection)] * GRID.judges_teacher(evaluation)
    return {
        "students": [f"{folder}/card.json" for folder in students],
        "student_weights": ancient([f"{folder}/weights.safetensors" for folder in students]),
        "teacher_card": [f"{folder}/card.json" for folder in teachers],
        "teacher_weights": ancient([f"{folder}/weights.safetensors" for folder in teachers]),
    }


def robust_of(wildcards):
    """The catalogue's entry of a robust model."""
    return GRID.catalogue.robust[wildcards.model]


def robust_data(wildcards):
    """Folder of the data that a robust model knows."""
    entry = robust_of(wildcards)
    return paths.data_folder(entry.dataset, entry.preparation)


def robust_code(wildcards):
    """Module that builds a robust model's body."""
    return [BODIES.member(robust_of(wildcards).body.name).builder]


def earlier_weights(wildcards):
    """Inputs: the weights that the training of a robust model begins with, if it begins with another's."""
    before = robust_models.start_of(GRID, wildcards.model)
    folders = [robust_models.weights_of(GRID, before, int(wildcards.seed)).folder] if before else []
    return {
        "start_card": [f"{folder}/card.json" for folder in folders],
        "start_weights": ancient([f"{folder}/weights.safetensors" for folder in folders]),
    }


def start_of(wildcards):
    """The grid's record of the robust model that a repair begins with."""
    return robust_models.weights_of(GRID, wildcards.model, int(wildcards.seed))


def repaired_of(wildcards):
    """The grid's record of a robust model after a repair, or unrepaired."""
    return Repaired(start_of(wildcards), wildcards.repair, int(wildcards.seed))


def ranking_of(wildcards):
    """Inputs: the criticality of the model's modules, if the repair chooses by it."""
    folders = [start_of(wildcards).criticality_folder(STUDY)] * repairs.ranks(GRID, wildcards.repair)
    return {
        "criticality_card": [f"{folder}/card.json" for folder in folders],
        "criticality": [f"{folder}/criticality.parquet" for folder in folders],
    }


def finetuning_of(wildcards, key):
    """One setting of how a repair fine-tunes a model."""
    return repairs.finetuning(GRID, wildcards.model, wildcards.repair)[key]


def suite_data(wildcards):
    """Folder of the data that a suite corrupts."""
    suite = GRID.catalogue.corruptions[wildcards.suite]
    return paths.data_folder(suite.dataset, suite.preparation)


def published_corruptions(wildcards):
    """Cards of the corrupted images that their owner publishes, if the suite takes those."""
    source = GRID.catalogue.corruptions[wildcards.suite].source
    return [f"{paths.raw_folder(source.dataset)}/card.json"] if isinstance(source, CorruptedFiles) else []


def corrupted_layout(wildcards):
    """Reader of the corrupted images that their owner publishes; "" where they are computed."""
    source = GRID.catalogue.corruptions[wildcards.suite].source
    return GRID.dataset(source.dataset).layout if isinstance(source, CorruptedFiles) else ""


def corrupted_images(wildcards):
    """Inputs: the corrupted test images that a robust model is judged under."""
    folders = [paths.corruption_folder(name) for name in repairs.suites_of(GRID, wildcards.model)]
    return {
        "corruption_cards": [f"{folder}/card.json" for folder in folders],
        "corruption_images": ancient([f"{folder}/images.npy" for folder in folders]),
        "corruption_indexes": ancient([f"{folder}/index.parquet" for folder in folders]),
    }


def attacked_of(wildcards):
    """The grid's record of a suite of attacks through one model."""
    return Attacked(wildcards.box, wildcards.model, wildcards.suite, int(wildcards.seed))


def attacked_models(wildcards):
    """Inputs: the model that is attacked and, where it is but a substitute, the models that are shown what it gave."""
    targets = [] if wildcards.box == OWN_BOX else attacking.targets_of(GRID, attacked_of(wildcards))
    folders = [robust_models.weights_of(GRID, name, int(wildcards.seed)).folder for name in targets]
    return {
        **model(start_of(wildcards).folder, prefix="model_"),
        "target_cards": [f"{folder}/card.json" for folder in folders],
        "target_weights": ancient([f"{folder}/weights.safetensors" for folder in folders]),
    }


def attacked_code(wildcards):
    """Modules that attacks on robust models and the bodies of all models run."""
    each = attacked_of(wildcards)
    bodies = {GRID.catalogue.robust[name].body.name for name in (each.model, *attacking.targets_of(GRID, each))}
    attacks = attacking.attacks_of(GRID, each).values()
    return sorted({*(WHITE_BOX[attack.kind] for attack in attacks), *(BODIES.member(name).builder for name in bodies)})


def attention_folders(wildcards):
    """Folders of the maps that an experiment's figure shows."""
    return [evaluation.attention_folder(STUDY) for evaluation in attention.drawn(GRID, wildcards.experiment)]


def caption_of(name):
    """Path of a caption: what Snakemake's report and ours say below an output."""
    return Path(workflow.basedir) / "rules/captions" / f"{name}.rst"


def shown(path, caption, category="Figures", **labels):
    """Mark an output for Snakemake's own report."""
    title = caption.replace("_", " ")
    return report(path, caption=str(caption_of(caption)), category=category, labels={"output": title, **labels})
