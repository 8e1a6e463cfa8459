"""
Robust models: trained adversarially or fetched, ranked module by module, repaired (RiFT), judged.

INPUTS:     results/shared/data/{dataset}/{preparation}/card.json; development/ to train and choose, test/ to judge
            a weight file in data_root or at an address
OUTPUTS:    results/shared/corruptions/{suite}/{card.json,images.npy,index.parquet}
            results/shared/robust/{model}/seed{seed}/{card.json,weights.safetensors,history.parquet}
            results/<study>/criticality/{model}/seed{seed}/{card.json,criticality.parquet,measures.parquet}
            results/<study>/finetuned/{model}/{repair}/seed{seed}/{card.json,weights.safetensors,history.parquet}
            results/<study>/repaired/{model}/{repair}/seed{seed}/{card.json,weights.safetensors,interpolation.parquet}
            results/<study>/robustness/{model}/{repair}/seed{seed}/{card.json,predictions.parquet,measures.parquet}
            results/<study>/figures/{criticality,interpolation}.{png,pdf}
"""

ROBUST = paths.robust_folder()
SUITE = paths.corruption_folder()
CRITICALITY = paths.criticality_folder(study=STUDY)
FINETUNED = paths.finetuned_folder(study=STUDY)
REPAIRED = paths.repaired_folder(study=STUDY)
ROBUSTNESS = paths.robustness_folder(study=STUDY)


rule corrupt_dataset:
    input:
        unpack(inputs_of("corrupt_dataset", SUITE)),
    output:
        card=f"{SUITE}/card.json",
        images=f"{SUITE}/images.npy",
        index=f"{SUITE}/index.parquet",
    log:
        log_of("corrupt_dataset", SUITE),
    benchmark:
        benchmark_of("corrupt_dataset", SUITE)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("corrupt_dataset"),
    params:
        **params_of("corrupt_dataset", SUITE),
    script:
        "../workflow_scripts/corrupt_dataset.py"


rule train_robust:
    input:
        unpack(inputs_of("train_robust", ROBUST)),
    output:
        card=f"{ROBUST}/card.json",
        weights=f"{ROBUST}/weights.safetensors",
        history=f"{ROBUST}/history.parquet",
    log:
        log_of("train_robust", ROBUST),
    benchmark:
        benchmark_of("train_robust", ROBUST)
    wildcard_constraints:
        model=only("train_robust", ROBUST, "model"),
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("train_robust", ROBUST)
    resources:
        **resources_of("train_robust"),
    params:
        **params_of("train_robust", ROBUST),
    script:
        "../workflow_scripts/train_robust.py"


rule fetch_robust:
    input:
        unpack(inputs_of("fetch_robust", ROBUST)),
    output:
        card=f"{ROBUST}/card.json",
        weights=f"{ROBUST}/weights.safetensors",
    log:
        log_of("fetch_robust", ROBUST),
    benchmark:
        benchmark_of("fetch_robust", ROBUST)
    wildcard_constraints:
        model=only("fetch_robust", ROBUST, "model"),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("fetch_robust"),
    params:
        **params_of("fetch_robust", ROBUST),
    script:
        "../workflow_scripts/fetch_robust.py"


rule measure_criticality:
    input:
        unpack(inputs_of("measure_criticality", CRITICALITY)),
    output:
        card=f"{CRITICALITY}/card.json",
        criticality=f"{CRITICALITY}/criticality.parquet",
        measures=f"{CRITICALITY}/measures.parquet",
    log:
        log_of("measure_criticality", CRITICALITY),
    benchmark:
        benchmark_of("measure_criticality", CRITICALITY)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("measure_criticality", CRITICALITY)
    resources:
        **resources_of("measure_criticality"),
    params:
        **params_of("measure_criticality", CRITICALITY),
    script:
        "../workflow_scripts/measure_criticality.py"


rule finetune_module:
    input:
        unpack(inputs_of("finetune_module", FINETUNED)),
    output:
        card=f"{FINETUNED}/card.json",
        weights=f"{FINETUNED}/weights.safetensors",
        history=f"{FINETUNED}/history.parquet",
    log:
        log_of("finetune_module", FINETUNED),
    benchmark:
        benchmark_of("finetune_module", FINETUNED)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("finetune_module", FINETUNED)
    resources:
        **resources_of("finetune_module"),
    params:
        **params_of("finetune_module", FINETUNED),
    script:
        "../workflow_scripts/finetune_module.py"


rule interpolate_module:
    input:
        unpack(inputs_of("interpolate_module", REPAIRED)),
    output:
        card=f"{REPAIRED}/card.json",
        weights=f"{REPAIRED}/weights.safetensors",
        interpolation=f"{REPAIRED}/interpolation.parquet",
    log:
        log_of("interpolate_module", REPAIRED),
    benchmark:
        benchmark_of("interpolate_module", REPAIRED)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("interpolate_module", REPAIRED)
    resources:
        **resources_of("interpolate_module"),
    params:
        **params_of("interpolate_module", REPAIRED),
    script:
        "../workflow_scripts/interpolate_module.py"


rule evaluate_robust:
    input:
        unpack(inputs_of("evaluate_robust", ROBUSTNESS)),
    output:
        card=f"{ROBUSTNESS}/card.json",
        predictions=f"{ROBUSTNESS}/predictions.parquet",
        measures=f"{ROBUSTNESS}/measures.parquet",
    log:
        log_of("evaluate_robust", ROBUSTNESS),
    benchmark:
        benchmark_of("evaluate_robust", ROBUSTNESS)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("evaluate_robust", ROBUSTNESS)
    resources:
        **resources_of("evaluate_robust"),
    params:
        **params_of("evaluate_robust", ROBUSTNESS),
    script:
        "../workflow_scripts/evaluate_robust.py"


rule draw_rift:
    input:
        unpack(inputs_of("draw_rift", f"{paths.RESULTS}/{STUDY}/figures")),
    output:
        criticality=shown(paths.figure(STUDY, "criticality.png"), "criticality"),
        criticality_pdf=paths.figure(STUDY, "criticality.pdf"),
        interpolation=shown(paths.figure(STUDY, "interpolation.png"), "interpolation"),
        interpolation_pdf=paths.figure(STUDY, "interpolation.pdf"),
    log:
        log_of("draw_rift", f"{paths.RESULTS}/{STUDY}/figures"),
    benchmark:
        benchmark_of("draw_rift", f"{paths.RESULTS}/{STUDY}/figures")
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_rift"),
    params:
        **params_of("draw_rift", f"{paths.RESULTS}/{STUDY}/figures"),
    script:
        "../workflow_scripts/draw_rift.py"
