"""
Attacks, and predictions and attention of students on the test part, clean and attacked.

INPUTS:     students and, where its head knows the classes, their teacher; the teacher, or a slice of it, to attack by
            results/shared/data/{dataset}/{preparation}/card.json, test/
            the triggers' files
OUTPUTS:    results/<study>/attacks/{teacher}/{injection}/{dataset}/{attack}/{card.json,perturbations.npy}
            results/<study>/evaluations/{teacher}/{injection}/{dataset}/predictions.parquet
            results/<study>/attention/{teacher}/{injection}/{dataset}/{measures.parquet,panels.safetensors,card.json}
            results/<study>/white_box/{teacher}/{injection}/{dataset}/{method}/seed{seed}/predictions.parquet
"""

ATTACK = paths.attack_folder(study=STUDY)
ATTENTION = paths.attention_folder(study=STUDY)
EVALUATION = paths.evaluation_folder(study=STUDY)
WHITE_BOX_ATTACK = paths.white_box_folder(study=STUDY)


rule craft_feature_attack:
    input:
        unpack(inputs_of("craft_feature_attack", ATTACK)),
    output:
        card=f"{ATTACK}/card.json",
        perturbations=f"{ATTACK}/perturbations.npy",
    log:
        log_of("craft_feature_attack", ATTACK),
    benchmark:
        benchmark_of("craft_feature_attack", ATTACK)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("craft_feature_attack", ATTACK)
    resources:
        **resources_of("craft_feature_attack"),
    params:
        **params_of("craft_feature_attack", ATTACK),
    script:
        "../workflow_scripts/craft_feature_attack.py"


rule evaluate_students:
    input:
        unpack(inputs_of("evaluate_students", EVALUATION)),
    output:
        predictions=f"{EVALUATION}/predictions.parquet",
    log:
        log_of("evaluate_students", EVALUATION),
    benchmark:
        benchmark_of("evaluate_students", EVALUATION)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("evaluate_students", EVALUATION)
    resources:
        **resources_of("evaluate_students"),
    params:
        **params_of("evaluate_students", EVALUATION),
    script:
        "../workflow_scripts/evaluate_students.py"


rule map_attention:
    input:
        unpack(inputs_of("map_attention", ATTENTION)),
    output:
        measures=f"{ATTENTION}/measures.parquet",
        panels=f"{ATTENTION}/panels.safetensors",
        card=f"{ATTENTION}/card.json",
    log:
        log_of("map_attention", ATTENTION),
    benchmark:
        benchmark_of("map_attention", ATTENTION)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("map_attention", ATTENTION)
    resources:
        **resources_of("map_attention"),
    params:
        **params_of("map_attention", ATTENTION),
    script:
        "../workflow_scripts/map_attention.py"


rule attack_student:
    input:
        unpack(inputs_of("attack_student", WHITE_BOX_ATTACK)),
    output:
        predictions=f"{WHITE_BOX_ATTACK}/predictions.parquet",
    log:
        log_of("attack_student", WHITE_BOX_ATTACK),
    benchmark:
        benchmark_of("attack_student", WHITE_BOX_ATTACK)
    conda:
        "../envs/heirloom.yaml"
    threads: threads_of("attack_student", WHITE_BOX_ATTACK)
    resources:
        **resources_of("attack_student"),
    params:
        **params_of("attack_student", WHITE_BOX_ATTACK),
    script:
        "../workflow_scripts/attack_student.py"
