"""
Students: a teacher, clean or infected, carried over to a data set by a method.

INPUTS:     results/shared/teachers/{teacher}/{injection}/
            results/shared/data/{dataset}/{preparation}/card.json, development/
            what a detector found in the teacher, where a method unlearns it
OUTPUTS:    results/<study>/students/{teacher}/{injection}/{dataset}/{method}/seed{seed}/
            {card.json,weights.safetensors,history.parquet}
            results/<study>/slices/{teacher}/{injection}/{dataset}/{method}/{card.json,weights.safetensors}
"""

STUDENT = paths.student_folder(study=STUDY)
SLICE = paths.slice_folder(study=STUDY)


rule train_student:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "development")),
        unpack(lambda wildcards: model(paths.teacher_folder(wildcards.teacher, wildcards.injection))),
        unpack(reversed_trigger),
    output:
        card=f"{STUDENT}/card.json",
        weights=f"{STUDENT}/weights.safetensors",
        history=f"{STUDENT}/history.parquet",
    log:
        log_of("train_student", STUDENT),
    benchmark:
        benchmark_of("train_student", STUDENT)
    wildcard_constraints:
        method=only(sorted(set(GRID.methods) - set(GRID.selections))),
    conda:
        "../envs/heirloom.yaml"
    threads: lambda wildcards: method_of(wildcards).training.threads
    resources:
        **resources_of("train_student"),
    params:
        method=lambda wildcards: GRID.method_recipe(wildcards.method, wildcards.dataset),
        augmentation=lambda wildcards: GRID.augmentation_of(wildcards.dataset),
        code=code_of("train_student", lambda wildcards: method_code(wildcards)),
    script:
        "../workflow_scripts/train_student.py"


rule select_student:
    input:
        unpack(candidates_of),
    output:
        card=f"{STUDENT}/card.json",
        weights=f"{STUDENT}/weights.safetensors",
        history=f"{STUDENT}/history.parquet",
    log:
        log_of("select_student", STUDENT),
    benchmark:
        benchmark_of("select_student", STUDENT)
    wildcard_constraints:
        method=only(sorted(GRID.selections)),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("select_student"),
    params:
        candidates=lambda wildcards: list(GRID.trained_for(wildcards.method)),
        seeds=list(GRID.study.seeds),
        code=code_of("select_student"),
    script:
        "../workflow_scripts/select_student.py"


rule slice_teacher:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "development")),
        unpack(lambda wildcards: model(paths.teacher_folder(wildcards.teacher, wildcards.injection))),
    output:
        card=f"{SLICE}/card.json",
        weights=f"{SLICE}/weights.safetensors",
    log:
        log_of("slice_teacher", SLICE),
    benchmark:
        benchmark_of("slice_teacher", SLICE)
    conda:
        "../envs/heirloom.yaml"
    threads: lambda wildcards: method_of(wildcards).training.threads
    resources:
        **resources_of("slice_teacher"),
    params:
        name="{method}",
        method=lambda wildcards: GRID.method_recipe(wildcards.method, wildcards.dataset),
        augmentation=lambda wildcards: GRID.augmentation_of(wildcards.dataset),
        seed=GRID.study.seeds[0],
        code=code_of("slice_teacher", lambda wildcards: method_code(wildcards)),
    script:
        "../workflow_scripts/slice_teacher.py"
