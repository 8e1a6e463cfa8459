"""
From predictions to tables and figures; no model is needed any more.

INPUTS:     results/<study>/evaluations/*/*/*/predictions.parquet; benchmarks for the costs
OUTPUTS:    results/<study>/tables/{measurements,summary,costs}.parquet, summary.{csv,html,tex}
            results/<study>/figures/attack_success.{png,pdf}
"""

PREDICTIONS = [f"{evaluation.folder(STUDY)}/predictions.parquet" for evaluation in GRID.evaluations]
DESCRIPTIONS = [GRID.description_of(evaluation) for evaluation in GRID.evaluations]
TABLES = f"{paths.RESULTS}/{STUDY}/tables"
FIGURES = f"{paths.RESULTS}/{STUDY}/figures"


rule collect_measurements:
    input:
        predictions=PREDICTIONS,
    output:
        measurements=paths.table(STUDY, "measurements.parquet"),
    log:
        log_of("collect_measurements", TABLES),
    benchmark:
        benchmark_of("collect_measurements", TABLES)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("collect_measurements"),
    params:
        study=STUDY,
        config_digest=GRID.digest,
        evaluations=DESCRIPTIONS,
        code=code_of("collect_measurements"),
    script:
        "../workflow_scripts/collect_measurements.py"


rule summarise:
    input:
        measurements=rules.collect_measurements.output.measurements,
        predictions=PREDICTIONS,
    output:
        summary=paths.table(STUDY, "summary.parquet"),
        csv=paths.table(STUDY, "summary.csv"),
        html=paths.table(STUDY, "summary.html"),
        latex=paths.table(STUDY, "summary.tex"),
    log:
        log_of("summarise", TABLES),
    benchmark:
        benchmark_of("summarise", TABLES)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("summarise"),
    params:
        evaluations=DESCRIPTIONS,
        experiments=GRID.questions,
        seed=GRID.study.bootstrap_seed,
        code=code_of("summarise"),
    script:
        "../workflow_scripts/summarise.py"


rule collect_costs:
    input:
        measurements=rules.collect_measurements.output.measurements,
    output:
        costs=paths.table(STUDY, "costs.parquet"),
    log:
        log_of("collect_costs", TABLES),
    benchmark:
        benchmark_of("collect_costs", TABLES)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("collect_costs"),
    params:
        benchmarks=GRID.benchmarks,
        code=code_of("collect_costs"),
    script:
        "../workflow_scripts/collect_costs.py"


rule draw_figures:
    input:
        summary=rules.summarise.output.summary,
    output:
        png=paths.figure(STUDY, "attack_success.png"),
        pdf=paths.figure(STUDY, "attack_success.pdf"),
    log:
        log_of("draw_figures", FIGURES),
    benchmark:
        benchmark_of("draw_figures", FIGURES)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_figures"),
    params:
        code=code_of("draw_figures"),
    script:
        "../workflow_scripts/draw_figures.py"
