"""
Defences that look at a teacher itself: detectors of backdoors.

INPUTS:     results/shared/teachers/{teacher}/{injection}/, a teacher whose head knows the data set's classes
            results/shared/data/{dataset}/{preparation}/card.json, development/
OUTPUTS:    results/<study>/detections/{teacher}/{injection}/{dataset}/{detector}/{card.json,measures.parquet,reversed.npy}
"""

DETECTION = paths.detection_folder(study=STUDY)


rule detect_backdoor:
    input:
        unpack(inputs_of("detect_backdoor", DETECTION)),
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
    threads: threads_of("detect_backdoor", DETECTION)
    resources:
        **resources_of("detect_backdoor"),
    params:
        **params_of("detect_backdoor", DETECTION),
    script:
        "../workflow_scripts/detect_backdoor.py"
