"""
Teachers before any defect: trained here, or fetched.

INPUTS:     results/shared/data/{dataset}/{preparation}/card.json, development/
            or a weight file in data_root or at an address
OUTPUTS:    results/shared/teachers/{teacher}/none/{card.json,weights.safetensors,history.parquet}
"""

from heirloom.config.models import Fetched, Pretrained

CLEAN_TEACHER = paths.teacher_folder(injection=CLEAN)


rule pretrain_teacher:
    input:
        unpack(lambda wildcards: prepared(GRID.pretraining_data(wildcards.teacher), "development")),
    output:
        card=f"{CLEAN_TEACHER}/card.json",
        weights=f"{CLEAN_TEACHER}/weights.safetensors",
        history=f"{CLEAN_TEACHER}/history.parquet",
    log:
        log_of("pretrain_teacher", CLEAN_TEACHER),
    benchmark:
        benchmark_of("pretrain_teacher", CLEAN_TEACHER)
    wildcard_constraints:
        teacher=only(GRID.names("teachers", Pretrained)),
    conda:
        "../envs/heirloom.yaml"
    threads: lambda wildcards: GRID.pretraining(wildcards.teacher).training.threads
    resources:
        **resources_of("pretrain_teacher"),
    params:
        body=lambda wildcards: canonical(GRID.teacher(wildcards.teacher).body),
        normalisation=lambda wildcards: canonical(GRID.teacher(wildcards.teacher).normalisation),
        training=lambda wildcards: canonical(GRID.pretraining(wildcards.teacher).training),
        augmentation=lambda wildcards: GRID.augmentation_of(GRID.pretraining(wildcards.teacher).dataset),
        seed=lambda wildcards: GRID.pretraining(wildcards.teacher).seed,
        code=code_of("pretrain_teacher", lambda wildcards: body_code(wildcards.teacher)),
    script:
        "../workflow_scripts/pretrain_teacher.py"


rule fetch_teacher:
    output:
        card=f"{CLEAN_TEACHER}/card.json",
        weights=f"{CLEAN_TEACHER}/weights.safetensors",
    log:
        log_of("fetch_teacher", CLEAN_TEACHER),
    benchmark:
        benchmark_of("fetch_teacher", CLEAN_TEACHER)
    wildcard_constraints:
        teacher=only(GRID.names("teachers", Fetched)),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("fetch_teacher"),
    params:
        body=lambda wildcards: canonical(GRID.teacher(wildcards.teacher).body),
        normalisation=lambda wildcards: canonical(GRID.teacher(wildcards.teacher).normalisation),
        file=lambda wildcards: canonical(GRID.fetching(wildcards.teacher))["file"],
        classes=lambda wildcards: GRID.fetching(wildcards.teacher).classes,
        dataset=lambda wildcards: GRID.fetching(wildcards.teacher).dataset,
        code=code_of(
            "fetch_teacher", lambda wildcards: [*body_code(wildcards.teacher), *reader_code(wildcards.teacher)]
        ),
    script:
        "../workflow_scripts/fetch_teacher.py"
