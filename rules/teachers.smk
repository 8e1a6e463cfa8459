"""
Teachers before any defect: trained here, or fetched.

INPUTS:     results/shared/data/{dataset}/{preparation}/card.json, development/
            or a weight file in data_root or at an address
OUTPUTS:    results/shared/teachers/{teacher}/none/{card.json,weights.safetensors,history.parquet}
"""

from heirloom.config.names import CLEAN

CLEAN_TEACHER = paths.teacher_folder(injection=CLEAN)


rule pretrain_teacher:
    input:
        unpack(inputs_of("pretrain_teacher", CLEAN_TEACHER)),
    output:
        card=f"{CLEAN_TEACHER}/card.json",
        weights=f"{CLEAN_TEACHER}/weights.safetensors",
        history=f"{CLEAN_TEACHER}/history.parquet",
    log:
        log_of("pretrain_teacher", CLEAN_TEACHER),
    benchmark:
        benchmark_of("pretrain_teacher", CLEAN_TEACHER)
    wildcard_constraints:
        teacher=only("pretrain_teacher", CLEAN_TEACHER, "teacher"),
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("pretrain_teacher", CLEAN_TEACHER)
    resources:
        **resources_of("pretrain_teacher"),
    params:
        **params_of("pretrain_teacher", CLEAN_TEACHER),
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
        teacher=only("fetch_teacher", CLEAN_TEACHER, "teacher"),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("fetch_teacher"),
    params:
        **params_of("fetch_teacher", CLEAN_TEACHER),
    script:
        "../workflow_scripts/fetch_teacher.py"
