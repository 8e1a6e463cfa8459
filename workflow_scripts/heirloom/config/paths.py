"""Where everything lies: the one place that spells a path under results/.

Each function takes names or, by default, Snakemake wildcards; so a rule and the code that asks for its output agree.
"""

from __future__ import annotations

RESULTS = "results"
SHARED = f"{RESULTS}/shared"
DOWNLOADS = f"{RESULTS}/cache"


def raw_folder(dataset: str = "{dataset}") -> str:
    """Folder of a data set's pictures as the owner publishes them."""
    return f"{SHARED}/data/{dataset}/raw"


def data_folder(dataset: str = "{dataset}", preparation: str = "{preparation}") -> str:
    """Folder of a prepared data set: card.json, development/, test/."""
    return f"{SHARED}/data/{dataset}/{preparation}"


def teacher_folder(teacher: str = "{teacher}", injection: str = "{injection}") -> str:
    """Folder of a teacher, clean ("none") or after an injection."""
    return f"{SHARED}/teachers/{teacher}/{injection}"


def student_folder(
    *,
    study: str,
    teacher: str = "{teacher}",
    injection: str = "{injection}",
    dataset: str = "{dataset}",
    method: str = "{method}",
    seed: str | int = "{seed}",
) -> str:
    """Folder of one student."""
    return f"{RESULTS}/{study}/students/{teacher}/{injection}/{dataset}/{method}/seed{seed}"


def evaluation_folder(
    *, study: str, teacher: str = "{teacher}", injection: str = "{injection}", dataset: str = "{dataset}"
) -> str:
    """Folder of the predictions of all students of one teacher, injection and data set."""
    return f"{RESULTS}/{study}/evaluations/{teacher}/{injection}/{dataset}"


def attack_folder(
    *,
    study: str,
    teacher: str = "{teacher}",
    injection: str = "{injection}",
    dataset: str = "{dataset}",
    attack: str = "{attack}",
) -> str:
    """Folder of an attack that is crafted once for all students of one teacher, injection and data set."""
    return f"{RESULTS}/{study}/attacks/{teacher}/{injection}/{dataset}/{attack}"


def attention_folder(
    *, study: str, teacher: str = "{teacher}", injection: str = "{injection}", dataset: str = "{dataset}"
) -> str:
    """Folder of the attention maps of all students of one teacher, injection and data set."""
    return f"{RESULTS}/{study}/attention/{teacher}/{injection}/{dataset}"


def slice_folder(
    *,
    study: str,
    teacher: str = "{teacher}",
    injection: str = "{injection}",
    dataset: str = "{dataset}",
    method: str = "{method}",
) -> str:
    """Folder of a teacher as a pruning method leaves it before any fine-tuning."""
    return f"{RESULTS}/{study}/slices/{teacher}/{injection}/{dataset}/{method}"


def detection_folder(
    *,
    study: str,
    teacher: str = "{teacher}",
    injection: str = "{injection}",
    dataset: str = "{dataset}",
    detector: str = "{detector}",
) -> str:
    """Folder of what a detector finds in a teacher."""
    return f"{RESULTS}/{study}/detections/{teacher}/{injection}/{dataset}/{detector}"


def white_box_folder(
    *,
    study: str,
    teacher: str = "{teacher}",
    injection: str = "{injection}",
    dataset: str = "{dataset}",
    method: str = "{method}",
    seed: str | int = "{seed}",
) -> str:
    """Folder of the predictions of one student under attacks on itself."""
    return f"{RESULTS}/{study}/white_box/{teacher}/{injection}/{dataset}/{method}/seed{seed}"


def robust_folder(model: str = "{model}", seed: str | int = "{seed}") -> str:
    """Folder of a robust model before any repair; a fetched one has the seed 0."""
    return f"{SHARED}/robust/{model}/seed{seed}"


def corruption_folder(suite: str = "{suite}") -> str:
    """Folder of corrupted test images."""
    return f"{SHARED}/corruptions/{suite}"


def criticality_folder(*, study: str, model: str = "{model}", seed: str | int = "{seed}") -> str:
    """Folder of the criticality of a robust model's modules."""
    return f"{RESULTS}/{study}/criticality/{model}/seed{seed}"


def finetuned_folder(
    *, study: str, model: str = "{model}", repair: str = "{repair}", seed: str | int = "{seed}"
) -> str:
    """Folder of what a repair fine-tuned, before any interpolation."""
    return f"{RESULTS}/{study}/finetuned/{model}/{repair}/seed{seed}"


def repaired_folder(*, study: str, model: str = "{model}", repair: str = "{repair}", seed: str | int = "{seed}") -> str:
    """Folder of a repaired robust model."""
    return f"{RESULTS}/{study}/repaired/{model}/{repair}/seed{seed}"


def robustness_folder(
    *, study: str, model: str = "{model}", repair: str = "{repair}", seed: str | int = "{seed}"
) -> str:
    """Folder of the predictions of one robust model, after a repair or "unrepaired"."""
    return f"{RESULTS}/{study}/robustness/{model}/{repair}/seed{seed}"


def attacked_folder(
    *,
    study: str,
    box: str = "{box}",
    model: str = "{model}",
    suite: str = "{suite}",
    seed: str | int = "{seed}",
) -> str:
    """Folder of the predictions under a suite of attacks through one model, on itself or on others."""
    return f"{RESULTS}/{study}/attacked/{box}/{model}/{suite}/seed{seed}"


def table(study: str, name: str) -> str:
    """A table of a study, file name with its extension."""
    return f"{RESULTS}/{study}/tables/{name}"


def figure(study: str, name: str) -> str:
    """A figure of a study, file name with its extension."""
    return f"{RESULTS}/{study}/figures/{name}"


def report(study: str) -> str:
    """The report of a study."""
    return f"{RESULTS}/{study}/report.html"


def record(output_folder: str, rule: str, kind: str) -> str:
    """Path of a rule's log ("logs") or benchmark ("benchmarks") for the job that writes `output_folder`.

    results/<study or shared>/<kind>/<rule>/<rest of the folder with dots for slashes>.<log or tsv>
    """
    scope, _, rest = output_folder.removeprefix(f"{RESULTS}/").partition("/")
    extension = {"logs": "log", "benchmarks": "tsv"}[kind]
    return f"{RESULTS}/{scope}/{kind}/{rule}/{rest.replace('/', '.')}.{extension}"
