"""
Models under attack: white-box suites on each of them, black-box ones through substitutes, and what models restore.

INPUTS:     results/shared/data/{dataset}/{preparation}/{card.json,test/}
            results/shared/robust/{model}/seed{seed}/{card.json,weights.safetensors} (rules/rift.smk trains them)
OUTPUTS:    results/<study>/attacked/white-box/{model}/{suite}/seed{seed}/{card.json,predictions.parquet,...}
            results/<study>/attacked/black-box/{model}/{suite}/seed{seed}/..., {model} being the substitute
            measures.parquet (what restored images lack), pictures.safetensors (those that figures show)
            results/<study>/figures/restored.{png,pdf}
"""

ATTACKED = paths.attacked_folder(study=STUDY)


rule attack_model:
    input:
        unpack(lambda wildcards: prepared(robust_data(wildcards), "test")),
        unpack(lambda wildcards: attacked_models(wildcards)),
    output:
        card=f"{ATTACKED}/card.json",
        predictions=f"{ATTACKED}/predictions.parquet",
        measures=f"{ATTACKED}/measures.parquet",
        pictures=f"{ATTACKED}/pictures.safetensors",
    log:
        log_of("attack_model", ATTACKED),
    benchmark:
        benchmark_of("attack_model", ATTACKED)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("attack_model"),
    params:
        attacks=lambda wildcards: {
            name: GRID.attack_recipe(name) for name in attacking.attacks_of(GRID, attacked_of(wildcards))
        },
        targets=lambda wildcards: attacking.targets_of(GRID, attacked_of(wildcards)),
        clean=lambda wildcards: attacking.judges_clean(GRID, attacked_of(wildcards)),
        shown=lambda wildcards: attacking.pictured(GRID, attacked_of(wildcards)),
        batch_size=GRID.study.evaluation_batch,
        attack_batch_size=GRID.study.attack_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of("attack_model", lambda wildcards: attacked_code(wildcards)),
        libraries=lambda wildcards: libraries_of(attacking.attacks_of(GRID, attacked_of(wildcards)).values()),
    script:
        "../workflow_scripts/attack_model.py"


PICTURED = attacking.with_pictures(GRID)


rule draw_restored:
    input:
        cards=[f"{each.folder(STUDY)}/card.json" for each in PICTURED],
        pictures=ancient([f"{each.folder(STUDY)}/pictures.safetensors" for each in PICTURED]),
    output:
        restored=shown(paths.figure(STUDY, "restored.png"), "restored"),
        restored_pdf=paths.figure(STUDY, "restored.pdf"),
    log:
        log_of("draw_restored", f"{paths.RESULTS}/{STUDY}/figures"),
    benchmark:
        benchmark_of("draw_restored", f"{paths.RESULTS}/{STUDY}/figures")
    conda:
        "../envs/heirloom.yaml"
    resources:
        **resources_of("draw_restored"),
    params:
        models=[each.model for each in PICTURED],
        code=code_of("draw_restored"),
    script:
        "../workflow_scripts/draw_restored.py"
