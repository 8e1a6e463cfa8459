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
        unpack(inputs_of("train_student", STUDENT)),
    output:
        card=f"{STUDENT}/card.json",
        weights=f"{STUDENT}/weights.safetensors",
        history=f"{STUDENT}/history.parquet",
    log:
        log_of("train_student", STUDENT),
    benchmark:
        benchmark_of("train_student", STUDENT)
    wildcard_constraints:
        method=only("train_student", STUDENT, "method"),
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("train_student", STUDENT)
    resources:
        **resources_of("train_student"),
    params:
        **params_of("train_student", STUDENT),
    script:
        "../workflow_scripts/train_student.py"


rule select_student:
    input:
        unpack(inputs_of("select_student", STUDENT)),
    output:
        card=f"{STUDENT}/card.json",
        weights=f"{STUDENT}/weights.safetensors",
        history=f"{STUDENT}/history.parquet",
    log:
        log_of("select_student", STUDENT),
    benchmark:
        benchmark_of("select_student", STUDENT)
    wildcard_constraints:
        method=only("select_student", STUDENT, "method"),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("select_student"),
    params:
        **params_of("select_student", STUDENT),
    script:
        "../workflow_scripts/select_student.py"


rule slice_teacher:
    input:
        unpack(inputs_of("slice_teacher", SLICE)),
    output:
        card=f"{SLICE}/card.json",
        weights=f"{SLICE}/weights.safetensors",
    log:
        log_of("slice_teacher", SLICE),
    benchmark:
        benchmark_of("slice_teacher", SLICE)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("slice_teacher", SLICE)
    resources:
        **resources_of("slice_teacher"),
    params:
        **params_of("slice_teacher", SLICE),
    script:
        "../workflow_scripts/slice_teacher.py"
