"""
Robust models: trained adversarially or fetched, ranked module by module, repaired (RiFT), judged.

INPUTS:     results/shared/data/{dataset}/{preparation}/card.json; development/ to train and choose, test/ to judge
            a weight file in data_root or at an address
OUTPUTS:    results/shared/corruptions/{suite}/{card.json,images.npy,index.parquet}
            results/shared/robust/{model}/seed{seed}/{card.json,weights.safetensors,history.parquet}
            results/<study>/criticality/{model}/seed{seed}/{card.json,criticality.parquet,measures.parquet}
            results/<study>/finetuned/{model}/{repair}/seed{seed}/{card.json,weights.safetensors,history.parquet}
            results/<study>/repaired/{model}/{repair}/seed{seed}/{card.json,weights.safetensors,interpolation.parquet}
            results/<study>/robustness/{model}/{repair}/seed{seed}/{card.json,predictions.parquet,measures.parquet}
            results/<study>/figures/{criticality,interpolation}.{png,pdf}
"""

from heirloom.config.robust import RobustFetched, RobustTrained
from heirloom.data.layouts import CORRUPTED_LAYOUTS
from heirloom.evaluation.corruptions import CORRUPTERS
from heirloom.training.robust import OBJECTIVES

ROBUST = paths.robust_folder()
SUITE = paths.corruption_folder()
CRITICALITY = paths.criticality_folder(study=STUDY)
FINETUNED = paths.finetuned_folder(study=STUDY)
REPAIRED = paths.repaired_folder(study=STUDY)
ROBUSTNESS = paths.robustness_folder(study=STUDY)


rule corrupt_dataset:
    input:
        unpack(lambda wildcards: prepared(suite_data(wildcards), "test")),
        raw=lambda wildcards: published_corruptions(wildcards),
    output:
        card=f"{SUITE}/card.json",
        images=f"{SUITE}/images.npy",
        index=f"{SUITE}/index.parquet",
    log:
        log_of("corrupt_dataset", SUITE),
    benchmark:
        benchmark_of("corrupt_dataset", SUITE)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("corrupt_dataset"),
    params:
        suite=lambda wildcards: repairs.suite_recipe(GRID, wildcards.suite),
        layout=lambda wildcards: corrupted_layout(wildcards),
        code=code_of(
            "corrupt_dataset",
            lambda wildcards: (
                [CORRUPTED_LAYOUTS[corrupted_layout(wildcards)]]
                if corrupted_layout(wildcards)
                else [CORRUPTERS[kind] for kind in GRID.catalogue.corruptions[wildcards.suite].kinds]
            ),
        ),
    script:
        "../workflow_scripts/corrupt_dataset.py"


rule train_robust:
    input:
        unpack(lambda wildcards: prepared(robust_data(wildcards), "development")),
        unpack(lambda wildcards: earlier_weights(wildcards)),
    output:
        card=f"{ROBUST}/card.json",
        weights=f"{ROBUST}/weights.safetensors",
        history=f"{ROBUST}/history.parquet",
    log:
        log_of("train_robust", ROBUST),
    benchmark:
        benchmark_of("train_robust", ROBUST)
    wildcard_constraints:
        model=only(GRID.names("robust", RobustTrained)),
    conda:
        "../envs/heirloom.yaml"
    threads: lambda wildcards: robust_models.training(GRID, wildcards.model).training.threads
    resources:
        **resources_of("train_robust"),
    params:
        body=lambda wildcards: canonical(robust_of(wildcards).body),
        normalisation=lambda wildcards: canonical(robust_of(wildcards).normalisation),
        objective=lambda wildcards: canonical(robust_models.training(GRID, wildcards.model))["objective"],
        training=lambda wildcards: canonical(robust_models.training(GRID, wildcards.model))["training"],
        judge=lambda wildcards: canonical(robust_models.training(GRID, wildcards.model))["judge"],
        augmentation=lambda wildcards: GRID.augmentation_of(robust_of(wildcards).dataset),
        code=code_of(
            "train_robust",
            lambda wildcards: [
                OBJECTIVES[robust_models.training(GRID, wildcards.model).objective.objective],
                *robust_code(wildcards),
            ],
        ),
    script:
        "../workflow_scripts/train_robust.py"


rule fetch_robust:
    input:
        data_card=lambda wildcards: f"{robust_data(wildcards)}/card.json",
    output:
        card=f"{ROBUST}/card.json",
        weights=f"{ROBUST}/weights.safetensors",
    log:
        log_of("fetch_robust", ROBUST),
    benchmark:
        benchmark_of("fetch_robust", ROBUST)
    wildcard_constraints:
        model=only(GRID.names("robust", RobustFetched)),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("fetch_robust"),
    params:
        body=lambda wildcards: canonical(robust_of(wildcards).body),
        normalisation=lambda wildcards: canonical(robust_of(wildcards).normalisation),
        file=lambda wildcards: canonical(robust_models.fetching(GRID, wildcards.model))["file"],
        code=code_of(
            "fetch_robust",
            lambda wildcards: [*robust_code(wildcards), BODIES.member(robust_of(wildcards).body.name).reader],
        ),
    script:
        "../workflow_scripts/fetch_robust.py"


rule measure_criticality:
    input:
        unpack(lambda wildcards: prepared(robust_data(wildcards), "development")),
        unpack(lambda wildcards: model(paths.robust_folder(wildcards.model, wildcards.seed), prefix="model_")),
    output:
        card=f"{CRITICALITY}/card.json",
        criticality=f"{CRITICALITY}/criticality.parquet",
        measures=f"{CRITICALITY}/measures.parquet",
    log:
        log_of("measure_criticality", CRITICALITY),
    benchmark:
        benchmark_of("measure_criticality", CRITICALITY)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.criticality.threads
    resources:
        **resources_of("measure_criticality"),
    params:
        criticality=canonical(GRID.study.criticality),
        code=code_of("measure_criticality", lambda wildcards: robust_code(wildcards)),
    script:
        "../workflow_scripts/measure_criticality.py"


rule finetune_module:
    input:
        unpack(lambda wildcards: prepared(robust_data(wildcards), "development")),
        unpack(lambda wildcards: model(start_of(wildcards).folder, prefix="model_")),
        unpack(lambda wildcards: ranking_of(wildcards)),
    output:
        card=f"{FINETUNED}/card.json",
        weights=f"{FINETUNED}/weights.safetensors",
        history=f"{FINETUNED}/history.parquet",
    log:
        log_of("finetune_module", FINETUNED),
    benchmark:
        benchmark_of("finetune_module", FINETUNED)
    conda:
        "../envs/heirloom.yaml"
    threads: lambda wildcards: repairs.repairs(GRID)[wildcards.repair].training.threads
    resources:
        **resources_of("finetune_module"),
    params:
        modules=lambda wildcards: finetuning_of(wildcards, "modules"),
        statistics=lambda wildcards: finetuning_of(wildcards, "statistics"),
        training=lambda wildcards: finetuning_of(wildcards, "training"),
        learning_rates=lambda wildcards: finetuning_of(wildcards, "learning_rates"),
        augmentation=lambda wildcards: GRID.augmentation_of(robust_of(wildcards).dataset),
        code=code_of("finetune_module", lambda wildcards: robust_code(wildcards)),
    script:
        "../workflow_scripts/finetune_module.py"


rule interpolate_module:
    input:
        unpack(lambda wildcards: prepared(robust_data(wildcards), "development")),
        unpack(lambda wildcards: model(start_of(wildcards).folder, prefix="model_")),
        unpack(
            lambda wildcards: model(
                paths.finetuned_folder(study=STUDY, **repaired_of(wildcards).names), prefix="finetuned_"
            )
        ),
    output:
        card=f"{REPAIRED}/card.json",
        weights=f"{REPAIRED}/weights.safetensors",
        interpolation=f"{REPAIRED}/interpolation.parquet",
    log:
        log_of("interpolate_module", REPAIRED),
    benchmark:
        benchmark_of("interpolate_module", REPAIRED)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("interpolate_module"),
    params:
        alphas=lambda wildcards: repairs.choosing(GRID, wildcards.repair)["alphas"],
        judge=lambda wildcards: repairs.choosing(GRID, wildcards.repair)["judge"],
        tolerance=lambda wildcards: repairs.choosing(GRID, wildcards.repair)["tolerance"],
        threads=GRID.study.evaluation_threads,
        code=code_of("interpolate_module", lambda wildcards: robust_code(wildcards)),
    script:
        "../workflow_scripts/interpolate_module.py"


rule evaluate_robust:
    input:
        unpack(lambda wildcards: prepared(robust_data(wildcards), "test")),
        unpack(lambda wildcards: model(repaired_of(wildcards).folder(STUDY), prefix="model_")),
        unpack(lambda wildcards: corrupted_images(wildcards)),
    output:
        card=f"{ROBUSTNESS}/card.json",
        predictions=f"{ROBUSTNESS}/predictions.parquet",
        measures=f"{ROBUSTNESS}/measures.parquet",
    log:
        log_of("evaluate_robust", ROBUSTNESS),
    benchmark:
        benchmark_of("evaluate_robust", ROBUSTNESS)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("evaluate_robust"),
    params:
        attacks=lambda wildcards: {
            name: GRID.attack_recipe(name) for name in repairs.attacks_of(GRID, repaired_of(wildcards))
        },
        batch_size=GRID.study.evaluation_batch,
        attack_batch_size=GRID.study.attack_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of(
            "evaluate_robust",
            lambda wildcards: [
                *(WHITE_BOX[attack.kind] for attack in repairs.attacks_of(GRID, repaired_of(wildcards)).values()),
                *robust_code(wildcards),
            ],
        ),
        libraries=lambda wildcards: libraries_of(repairs.attacks_of(GRID, repaired_of(wildcards)).values()),
    script:
        "../workflow_scripts/evaluate_robust.py"


RANKED = repairs.ranked(GRID)
MENDED = repairs.repaired(GRID)


rule draw_rift:
    input:
        criticality=[f"{each.criticality_folder(STUDY)}/criticality.parquet" for each in RANKED],
        interpolation=[f"{each.folder(STUDY)}/interpolation.parquet" for each in MENDED],
    output:
        **{name: shown(paths.figure(STUDY, f"{name}.png"), name) for name in repairs.WAYS},
        **{f"{name}_pdf": paths.figure(STUDY, f"{name}.pdf") for name in repairs.WAYS},
    log:
        log_of("draw_rift", f"{paths.RESULTS}/{STUDY}/figures"),
    benchmark:
        benchmark_of("draw_rift", f"{paths.RESULTS}/{STUDY}/figures")
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_rift"),
    params:
        measured=[(each.model, each.seed) for each in RANKED],
        repaired=[(each.start.model, each.repair, each.seed) for each in MENDED],
        tolerances={each.repair: repairs.choosing(GRID, each.repair)["tolerance"] for each in MENDED},
        marked=repairs.marked(GRID),
        code=code_of("draw_rift"),
    script:
        "../workflow_scripts/draw_rift.py"
