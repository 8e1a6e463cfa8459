"""
Pictures: drawn, or unpacked from a user's own or downloaded archives, then decoded once.

INPUTS:     entries of the data set catalogue; data_root for local files
OUTPUTS:    results/shared/data/{dataset}/raw/card.json (and files/ beside it)
            results/shared/data/{dataset}/{preparation}/card.json, {development,test}/{images.npy,index.parquet}
            results/<study>/tables/data_check.parquet
"""


rule render_dataset:
    output:
        card=f"{paths.raw_folder()}/card.json",
    log:
        log_of("render_dataset", paths.raw_folder()),
    benchmark:
        benchmark_of("render_dataset", paths.raw_folder())
    wildcard_constraints:
        dataset=only("render_dataset", paths.raw_folder(), "dataset"),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("render_dataset"),
    params:
        **params_of("render_dataset", paths.raw_folder()),
    script:
        "../workflow_scripts/render_dataset.py"


rule download_dataset:
    output:
        card=f"{paths.raw_folder()}/card.json",
    log:
        log_of("download_dataset", paths.raw_folder()),
    benchmark:
        benchmark_of("download_dataset", paths.raw_folder())
    wildcard_constraints:
        dataset=only("download_dataset", paths.raw_folder(), "dataset"),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("download_dataset"),
    params:
        **params_of("download_dataset", paths.raw_folder()),
    script:
        "../workflow_scripts/download_dataset.py"


rule prepare_dataset:
    input:
        unpack(inputs_of("prepare_dataset", paths.data_folder())),
    output:
        card=f"{paths.data_folder()}/card.json",
        development_images=f"{paths.data_folder()}/development/images.npy",
        development_index=f"{paths.data_folder()}/development/index.parquet",
        test_images=f"{paths.data_folder()}/test/images.npy",
        test_index=f"{paths.data_folder()}/test/index.parquet",
    log:
        log_of("prepare_dataset", paths.data_folder()),
    benchmark:
        benchmark_of("prepare_dataset", paths.data_folder())
    wildcard_constraints:
        preparation=only("prepare_dataset", paths.data_folder(), "preparation"),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("prepare_dataset"),
    params:
        **params_of("prepare_dataset", paths.data_folder()),
    script:
        "../workflow_scripts/prepare_dataset.py"


rule check_datasets:
    input:
        unpack(inputs_of("check_datasets", f"{paths.RESULTS}/{STUDY}/tables")),
    output:
        data_check=paths.table(STUDY, "data_check.parquet"),
    log:
        log_of("check_datasets", f"{paths.RESULTS}/{STUDY}/tables"),
    benchmark:
        benchmark_of("check_datasets", f"{paths.RESULTS}/{STUDY}/tables")
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("check_datasets"),
    params:
        **params_of("check_datasets", f"{paths.RESULTS}/{STUDY}/tables"),
    script:
        "../workflow_scripts/check_datasets.py"
