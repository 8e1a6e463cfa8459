"""
Pictures: drawn, or unpacked from a user's own or downloaded archives, then decoded once.

INPUTS:     entries of the data set catalogue; data_root for local files
OUTPUTS:    results/shared/data/{dataset}/raw/card.json (and files/ beside it)
            results/shared/data/{dataset}/{preparation}/card.json, {development,test}/{images.npy,index.parquet}
            results/<study>/tables/data_check.parquet
"""

from heirloom.config.kinds import LAYOUTS, WRITERS
from heirloom.config.models import Drawn, Files


rule render_dataset:
    output:
        card=f"{paths.raw_folder()}/card.json",
    log:
        log_of("render_dataset", paths.raw_folder()),
    benchmark:
        benchmark_of("render_dataset", paths.raw_folder())
    wildcard_constraints:
        dataset=only(GRID.names("datasets", Drawn)),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("render_dataset"),
    params:
        writer=lambda wildcards: GRID.drawing(wildcards.dataset).writer,
        seed=lambda wildcards: GRID.drawing(wildcards.dataset).seed,
        options=lambda wildcards: canonical(GRID.drawing(wildcards.dataset))["options"],
        code=code_of(
            "render_dataset",
            lambda wildcards: [WRITERS.module(GRID.drawing(wildcards.dataset).writer)],
        ),
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
        dataset=only(GRID.names("datasets", Files)),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("download_dataset"),
    params:
        files=lambda wildcards: canonical(GRID.files(wildcards.dataset))["files"],
        folders=lambda wildcards: canonical(GRID.files(wildcards.dataset))["folders"],
        code=code_of("download_dataset"),
    script:
        "../workflow_scripts/download_dataset.py"


rule prepare_dataset:
    input:
        raw=f"{paths.raw_folder()}/card.json",
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
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("prepare_dataset"),
    params:
        layout=lambda wildcards: GRID.dataset(wildcards.dataset).layout,
        preparation=lambda wildcards: canonical(GRID.dataset(wildcards.dataset).preparations[wildcards.preparation]),
        code=code_of(
            "prepare_dataset",
            lambda wildcards: [LAYOUTS.module(GRID.dataset(wildcards.dataset).layout)],
        ),
    script:
        "../workflow_scripts/prepare_dataset.py"


PREPARED = [paths.data_folder(*names) for names in GRID.prepared_data]


rule check_datasets:
    input:
        cards=[f"{folder}/card.json" for folder in PREPARED],
        development_images=ancient([f"{folder}/development/images.npy" for folder in PREPARED]),
        development_indices=ancient([f"{folder}/development/index.parquet" for folder in PREPARED]),
        test_images=ancient([f"{folder}/test/images.npy" for folder in PREPARED]),
        test_indices=ancient([f"{folder}/test/index.parquet" for folder in PREPARED]),
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
        origins=[GRID.origin_of(*names) for names in GRID.prepared_data],
        code=code_of("check_datasets"),
    script:
        "../workflow_scripts/check_datasets.py"
