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
        unpack(inputs_of("attack_model", ATTACKED)),
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
    threads: threads_of("attack_model", ATTACKED)
    resources:
        **resources_of("attack_model"),
    params:
        **params_of("attack_model", ATTACKED),
    script:
        "../workflow_scripts/attack_model.py"


rule draw_restored:
    input:
        unpack(inputs_of("draw_restored", f"{paths.RESULTS}/{STUDY}/figures")),
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
        **params_of("draw_restored", f"{paths.RESULTS}/{STUDY}/figures"),
    script:
        "../workflow_scripts/draw_restored.py"
