"""
Defects: a clean teacher becomes an infected one, or the infected one's clean counterpart.

INPUTS:     results/shared/teachers/{teacher}/none/
            results/shared/data/{dataset}/{preparation}/card.json, development/
            the trigger's files
OUTPUTS:    results/shared/teachers/{teacher}/{injection}/{card.json,weights.safetensors,history.parquet}
"""


rule inject_defect:
    input:
        unpack(lambda wildcards: prepared(GRID.injection_data(wildcards.injection), "development")),
        unpack(lambda wildcards: model(paths.teacher_folder(wildcards.teacher, CLEAN))),
        triggers=lambda wildcards: trigger_files(GRID.triggers_in(wildcards.injection)),
    output:
        card=f"{paths.teacher_folder()}/card.json",
        weights=f"{paths.teacher_folder()}/weights.safetensors",
        history=f"{paths.teacher_folder()}/history.parquet",
    log:
        log_of("inject_defect", paths.teacher_folder()),
    benchmark:
        benchmark_of("inject_defect", paths.teacher_folder())
    wildcard_constraints:
        injection=only(sorted(GRID.catalogue.injections)),
    conda:
        "../envs/heirloom.yaml"
    threads: lambda wildcards: GRID.injection(wildcards.injection).training.threads
    resources:
        **resources_of("inject_defect"),
    params:
        injection=lambda wildcards: GRID.injection_recipe(wildcards.injection),
        triggers=lambda wildcards: GRID.triggers_in(wildcards.injection),
        augmentation=lambda wildcards: GRID.augmentation_of(GRID.injection(wildcards.injection).dataset),
        code=code_of(
            "inject_defect",
            lambda wildcards: [*injection_code([wildcards.injection]), *body_code(wildcards.teacher)],
        ),
    script:
        "../workflow_scripts/inject_defect.py"
