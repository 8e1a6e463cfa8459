"""
Defences that look at a teacher itself: detectors of backdoors.

INPUTS:     results/shared/teachers/{teacher}/{injection}/, a teacher whose head knows the data set's classes
            results/shared/data/{dataset}/{preparation}/card.json, development/
OUTPUTS:    results/<study>/detections/{teacher}/{injection}/{dataset}/{detector}/{card.json,measures.parquet,reversed.npy}
"""

DETECTION = paths.detection_folder(study=STUDY)


rule detect_backdoor:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "development")),
        unpack(lambda wildcards: model(paths.teacher_folder(wildcards.teacher, wildcards.injection))),
    output:
        card=f"{DETECTION}/card.json",
        measures=f"{DETECTION}/measures.parquet",
        reversed=f"{DETECTION}/reversed.npy",
    log:
        log_of("detect_backdoor", DETECTION),
    benchmark:
        benchmark_of("detect_backdoor", DETECTION)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("detect_backdoor"),
    params:
        detector=lambda wildcards: canonical(GRID.detector(wildcards.detector)),
        name="{detector}",
        asked=lambda wildcards: GRID.asked_classes(evaluation_of(wildcards)),
        threads=GRID.study.evaluation_threads,
        code=code_of(
            "detect_backdoor",
            lambda wildcards: [
                DETECTORS.module(GRID.detector(wildcards.detector).kind),
                *body_code(wildcards.teacher),
            ],
        ),
    script:
        "../workflow_scripts/detect_backdoor.py"
