"""
From predictions to tables, figures and the report; no model is needed any more.

INPUTS:     results/<study>/evaluations/*/*/*/predictions.parquet, measures; benchmarks for the costs
            histories and cards of the trainings; prepared data and triggers for the contact sheets; attention's panels
OUTPUTS:    results/<study>/tables/{measurements,summary,comparisons,costs}.parquet, summary.{csv,html,tex}
            results/<study>/figures/{attack_success,trade_off,training_curves,contact_sheet_<injection>}.{png,pdf}
            results/<study>/figures/{robustness,strength}.{png,pdf} of robust models
            results/<study>/figures/attention_<experiment>.{png,pdf,txt}
            results/<study>/report.html
"""

TABLES = f"{paths.RESULTS}/{STUDY}/tables"
FIGURES = f"{paths.RESULTS}/{STUDY}/figures"


rule collect_measurements:
    input:
        unpack(inputs_of("collect_measurements", TABLES)),
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
        **params_of("collect_measurements", TABLES),
    script:
        "../workflow_scripts/collect_measurements.py"


rule summarise:
    input:
        unpack(inputs_of("summarise", TABLES)),
    output:
        summary=paths.table(STUDY, "summary.parquet"),
        comparisons=paths.table(STUDY, "comparisons.parquet"),
        csv=paths.table(STUDY, "summary.csv"),
        html=shown(paths.table(STUDY, "summary.html"), "summary", category="Tables"),
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
        **params_of("summarise", TABLES),
    script:
        "../workflow_scripts/summarise.py"


rule collect_costs:
    input:
        unpack(inputs_of("collect_costs", TABLES)),
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
        **params_of("collect_costs", TABLES),
    script:
        "../workflow_scripts/collect_costs.py"


rule draw_figures:
    input:
        unpack(inputs_of("draw_figures", FIGURES)),
    output:
        png=[shown(paths.figure(STUDY, f"{name}.png"), name) for name in figure_names(GRID, "draw_figures")],
        pdf=[paths.figure(STUDY, f"{name}.pdf") for name in figure_names(GRID, "draw_figures")],
    log:
        log_of("draw_figures", FIGURES),
    benchmark:
        benchmark_of("draw_figures", FIGURES)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_figures"),
    params:
        **params_of("draw_figures", FIGURES),
    script:
        "../workflow_scripts/draw_figures.py"


rule draw_contact_sheets:
    input:
        unpack(inputs_of("draw_contact_sheets", FIGURES)),
    output:
        png=[shown(paths.figure(STUDY, f"{name}.png"), "contact_sheet", injection=name) for name in GRID.contact_sheets],
        pdf=[paths.figure(STUDY, f"{name}.pdf") for name in GRID.contact_sheets],
    log:
        log_of("draw_contact_sheets", FIGURES),
    benchmark:
        benchmark_of("draw_contact_sheets", FIGURES)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_contact_sheets"),
    params:
        **params_of("draw_contact_sheets", FIGURES),
    script:
        "../workflow_scripts/draw_contact_sheets.py"


rule draw_attention:
    input:
        unpack(inputs_of("draw_attention", f"{FIGURES}/attention_{{experiment}}")),
    output:
        png=shown(paths.figure(STUDY, "attention_{experiment}.png"), "attention", experiment="{experiment}"),
        pdf=paths.figure(STUDY, "attention_{experiment}.pdf"),
        caption=paths.figure(STUDY, "attention_{experiment}.txt"),
    log:
        log_of("draw_attention", f"{FIGURES}/attention_{{experiment}}"),
    benchmark:
        benchmark_of("draw_attention", f"{FIGURES}/attention_{{experiment}}")
    wildcard_constraints:
        experiment=only("draw_attention", f"{FIGURES}/attention_{{experiment}}", "experiment"),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_attention"),
    params:
        **params_of("draw_attention", f"{FIGURES}/attention_{{experiment}}"),
    script:
        "../workflow_scripts/draw_attention.py"


rule write_report:
    input:
        unpack(inputs_of("write_report", f"{paths.RESULTS}/{STUDY}/report")),
    output:
        report=shown(paths.report(STUDY), "report", category="Report"),
    log:
        log_of("write_report", f"{paths.RESULTS}/{STUDY}/report"),
    benchmark:
        benchmark_of("write_report", f"{paths.RESULTS}/{STUDY}/report")
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("write_report"),
    params:
        **params_of("write_report", f"{paths.RESULTS}/{STUDY}/report"),
    script:
        "../workflow_scripts/write_report.py"
