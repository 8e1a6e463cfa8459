"""
Defects: a clean teacher becomes an infected one, or the infected one's clean counterpart.

INPUTS:     results/shared/teachers/{teacher}/none/
            results/shared/data/{dataset}/{preparation}/card.json, development/
            the trigger's files
OUTPUTS:    results/shared/teachers/{teacher}/{injection}/{card.json,weights.safetensors,history.parquet}
"""


rule inject_defect:
    input:
        unpack(inputs_of("inject_defect", paths.teacher_folder())),
    output:
        card=f"{paths.teacher_folder()}/card.json",
        weights=f"{paths.teacher_folder()}/weights.safetensors",
        history=f"{paths.teacher_folder()}/history.parquet",
    log:
        log_of("inject_defect", paths.teacher_folder()),
    benchmark:
        benchmark_of("inject_defect", paths.teacher_folder())
    wildcard_constraints:
        injection=only("inject_defect", paths.teacher_folder(), "injection"),
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("inject_defect", paths.teacher_folder())
    resources:
        **resources_of("inject_defect"),
    params:
        **params_of("inject_defect", paths.teacher_folder()),
    script:
        "../workflow_scripts/inject_defect.py"
