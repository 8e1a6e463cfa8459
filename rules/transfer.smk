"""
Students: a teacher, clean or infected, carried over to a data set by a method.

INPUTS:     results/shared/teachers/{teacher}/{injection}/
            results/shared/data/{dataset}/{preparation}/card.json, development/
OUTPUTS:    results/<study>/students/{teacher}/{injection}/{dataset}/{method}/seed{seed}/
            {card.json,weights.safetensors,history.parquet}
"""

from heirloom.transfer.methods import METHODS

STUDENT = paths.student_folder(study=STUDY)


rule train_student:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "development")),
        unpack(lambda wildcards: model(paths.teacher_folder(wildcards.teacher, wildcards.injection))),
    output:
        card=f"{STUDENT}/card.json",
        weights=f"{STUDENT}/weights.safetensors",
        history=f"{STUDENT}/history.parquet",
    log:
        log_of("train_student", STUDENT),
    benchmark:
        benchmark_of("train_student", STUDENT)
    conda:
        "../envs/heirloom.yaml"
    threads: lambda wildcards: GRID.study.methods[wildcards.method].training.threads
    resources:
        **resources_of("train_student"),
    params:
        method=lambda wildcards: plain(GRID.study.methods[wildcards.method]),
        augmentation=lambda wildcards: GRID.augmentation_of(wildcards.dataset),
        code=code_of(
            "train_student",
            lambda wildcards: [
                METHODS[GRID.study.methods[wildcards.method].method],
                *body_code(wildcards.teacher),
            ],
        ),
    script:
        "../workflow_scripts/train_student.py"
