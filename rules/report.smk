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

from heirloom.config import attacking
from heirloom.config.grid import FIGURES as FIGURE_NAMES
from heirloom.config.jobs import benchmarks, histories
from heirloom.config.published import published_for
from heirloom.config.workflow import command_of

FROM_SUMMARY = [attacking.RATES, attacking.STRENGTH]
SUMMARY_FIGURES = [*FIGURE_NAMES, *(name for name in FROM_SUMMARY if name in GRID.figures)]
HISTORIES = histories(GRID)
TABLES = f"{paths.RESULTS}/{STUDY}/tables"
FIGURES = f"{paths.RESULTS}/{STUDY}/figures"


rule collect_measurements:
    input:
        predictions=TABLED.predictions,
        measures=TABLED.measures,
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
        evaluations=TABLED.descriptions,
        files=TABLED.files,
        measure_files=TABLED.measure_files,
        code=code_of("collect_measurements", study_attack_code),
    script:
        "../workflow_scripts/collect_measurements.py"


rule summarise:
    input:
        measurements=paths.table(STUDY, "measurements.parquet"),
        predictions=TABLED.predictions,
        measures=TABLED.measures,
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
        evaluations=TABLED.descriptions,
        files=TABLED.files,
        measure_files=TABLED.measure_files,
        experiments=GRID.questions,
        published=published_for(GRID.study, Path(workflow.basedir)),
        seed=GRID.study.bootstrap_seed,
        code=code_of("summarise", study_attack_code),
    script:
        "../workflow_scripts/summarise.py"


rule collect_costs:
    input:
        measurements=paths.table(STUDY, "measurements.parquet"),
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
        benchmarks=benchmarks(GRID),
        code=code_of("collect_costs"),
    script:
        "../workflow_scripts/collect_costs.py"


rule draw_figures:
    input:
        summary=paths.table(STUDY, "summary.parquet"),
        comparisons=paths.table(STUDY, "comparisons.parquet"),
        histories=list(HISTORIES),
    output:
        **{name: shown(paths.figure(STUDY, f"{name}.png"), name) for name in SUMMARY_FIGURES},
        **{f"{name}_pdf": paths.figure(STUDY, f"{name}.pdf") for name in SUMMARY_FIGURES},
    log:
        log_of("draw_figures", FIGURES),
    benchmark:
        benchmark_of("draw_figures", FIGURES)
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_figures"),
    params:
        trainings=list(HISTORIES.values()),
        controls=GRID.controls,
        ladders=attacking.ladders(GRID),
        code=code_of("draw_figures"),
    script:
        "../workflow_scripts/draw_figures.py"


SHOWN = [GRID.injection_data(name) for name in GRID.defects]
PLANTED = {name: recipe for defect in GRID.defects for name, recipe in GRID.triggers_in(defect).items()}


rule draw_contact_sheets:
    input:
        cards=[f"{folder}/card.json" for folder in SHOWN],
        development_images=ancient([f"{folder}/development/images.npy" for folder in SHOWN]),
        development_indices=ancient([f"{folder}/development/index.parquet" for folder in SHOWN]),
        test_images=ancient([f"{folder}/test/images.npy" for folder in SHOWN]),
        test_indices=ancient([f"{folder}/test/index.parquet" for folder in SHOWN]),
        triggers=[trigger_picture(name) for name in PLANTED],
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
        sheets=[GRID.sheet_of(name) for name in GRID.defects],
        triggers=PLANTED,
        batch_size=GRID.study.evaluation_batch,
        code=code_of("draw_contact_sheets"),
    script:
        "../workflow_scripts/draw_contact_sheets.py"


ATTENTIVE = sorted(attention.figures(GRID))


rule draw_attention:
    input:
        panels=lambda wildcards: ancient([f"{folder}/panels.safetensors" for folder in attention_folders(wildcards)]),
        cards=lambda wildcards: [f"{folder}/card.json" for folder in attention_folders(wildcards)],
    output:
        png=shown(paths.figure(STUDY, "attention_{experiment}.png"), "attention", experiment="{experiment}"),
        pdf=paths.figure(STUDY, "attention_{experiment}.pdf"),
        caption=paths.figure(STUDY, "attention_{experiment}.txt"),
    log:
        log_of("draw_attention", f"{FIGURES}/attention_{{experiment}}"),
    benchmark:
        benchmark_of("draw_attention", f"{FIGURES}/attention_{{experiment}}")
    wildcard_constraints:
        experiment=only(ATTENTIVE),
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_attention"),
    params:
        evaluations=lambda wildcards: [
            (each.teacher, each.injection, each.dataset) for each in attention.drawn(GRID, wildcards.experiment)
        ],
        code=code_of("draw_attention"),
    script:
        "../workflow_scripts/draw_attention.py"


TEACHERS = [(name, CLEAN) for name in GRID.teacher_names]
TEACHERS += [names for names in GRID.infected_teachers if names not in TEACHERS]


EMBEDDED = [name for name in GRID.figures if name in {*FIGURE_NAMES, *GRID.model_figures}]


rule write_report:
    input:
        summary=paths.table(STUDY, "summary.parquet"),
        comparisons=paths.table(STUDY, "comparisons.parquet"),
        data_check=paths.table(STUDY, "data_check.parquet"),
        costs=paths.table(STUDY, "costs.parquet"),
        figures=[paths.figure(STUDY, f"{name}.png") for name in EMBEDDED],
        captions=[os.path.relpath(caption_of(name)) for name in EMBEDDED],
        data_cards=[f"{folder}/card.json" for folder in PREPARED],
        teacher_cards=[f"{paths.teacher_folder(*names)}/card.json" for names in TEACHERS],
        sheets=[paths.figure(STUDY, f"{name}.png") for name in GRID.contact_sheets],
        attention=[paths.figure(STUDY, f"attention_{name}.png") for name in ATTENTIVE],
        attention_captions=[paths.figure(STUDY, f"attention_{name}.txt") for name in ATTENTIVE],
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
        about={
            "study": STUDY,
            "title": GRID.study.title,
            "digest": GRID.digest,
            "seeds": list(GRID.study.seeds),
            "questions": GRID.questions,
            "command": command_of(GRID),
            "data": GRID.prepared_data,
            "teachers": TEACHERS,
            "sheets": [GRID.sheet_of(name) for name in GRID.defects],
            "attention": ATTENTIVE,
        },
        code=code_of("write_report", study_attack_code),
    script:
        "../workflow_scripts/write_report.py"
