"""
Attacks, and predictions and attention of students on the test part, clean and attacked.

INPUTS:     students and, where its head knows the classes, their teacher; the teacher, or a slice of it, to attack by
            results/shared/data/{dataset}/{preparation}/card.json, test/
            the triggers' pictures
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
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "test")),
        unpack(lambda wildcards: model(paths.teacher_folder(wildcards.teacher, wildcards.injection))),
        unpack(known_slice),
    output:
        card=f"{ATTACK}/card.json",
        perturbations=f"{ATTACK}/perturbations.npy",
    log:
        log_of("craft_feature_attack", ATTACK),
    benchmark:
        benchmark_of("craft_feature_attack", ATTACK)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("craft_feature_attack"),
    params:
        attack=lambda wildcards: GRID.attack_recipe(wildcards.attack),
        batch_size=GRID.study.attack_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of(
            "craft_feature_attack",
            lambda wildcards: [*attack_code([GRID.attack(wildcards.attack)]), *body_code(wildcards.teacher)],
        ),
    script:
        "../workflow_scripts/craft_feature_attack.py"


rule evaluate_students:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "test")),
        unpack(lambda wildcards: judged_models(wildcards, GRID.students_of(evaluation_of(wildcards)))),
        unpack(crafted_attacks),
        triggers=lambda wildcards: [trigger_picture(name) for name in GRID.triggers_of(evaluation_of(wildcards))],
    output:
        predictions=f"{EVALUATION}/predictions.parquet",
    log:
        log_of("evaluate_students", EVALUATION),
    benchmark:
        benchmark_of("evaluate_students", EVALUATION)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("evaluate_students"),
    params:
        students=lambda wildcards: named(GRID.students_of(evaluation_of(wildcards))),
        triggers=lambda wildcards: {
            name: GRID.trigger_recipe(name) for name in GRID.triggers_of(evaluation_of(wildcards))
        },
        feature_attacks=attacks_of(OnTeacher),
        noise=attacks_of(AttackControl),
        batch_size=GRID.study.evaluation_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of("evaluate_students", shown_code()),
    script:
        "../workflow_scripts/evaluate_students.py"


rule map_attention:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "test")),
        unpack(lambda wildcards: judged_models(wildcards, attention.students(GRID, evaluation_of(wildcards)))),
        unpack(lambda wildcards: crafted_attacks(wildcards, attention.attacks)),
        triggers=lambda wildcards: [
            trigger_picture(name) for name in attention.triggers(GRID, evaluation_of(wildcards))
        ],
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
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("map_attention"),
    params:
        students=lambda wildcards: named(attention.students(GRID, evaluation_of(wildcards))),
        triggers=lambda wildcards: {
            name: GRID.trigger_recipe(name) for name in attention.triggers(GRID, evaluation_of(wildcards))
        },
        feature_attacks=attacks_of(OnTeacher, attention.attacks),
        noise=attacks_of(AttackControl, attention.attacks),
        recipe=lambda wildcards: attention.recipe(GRID, evaluation_of(wildcards)),
        sheets=lambda wildcards: attention.sheets(GRID, evaluation_of(wildcards)),
        batch_size=GRID.study.evaluation_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of("map_attention", shown_code(attention.attacks)),
    script:
        "../workflow_scripts/map_attention.py"


rule attack_student:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "test")),
        unpack(lambda wildcards: model(student_of(wildcards).folder(STUDY), prefix="student_")),
    output:
        predictions=f"{WHITE_BOX_ATTACK}/predictions.parquet",
    log:
        log_of("attack_student", WHITE_BOX_ATTACK),
    benchmark:
        benchmark_of("attack_student", WHITE_BOX_ATTACK)
    conda:
        "../envs/heirloom.yaml"
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("attack_student"),
    params:
        attacks=lambda wildcards: {name: GRID.attack_recipe(name) for name in GRID.white_box_of(student_of(wildcards))},
        batch_size=GRID.study.attack_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of(
            "attack_student",
            lambda wildcards: [
                *attack_code(GRID.white_box_of(student_of(wildcards)).values()),
                *body_code(wildcards.teacher),
            ],
        ),
        libraries=lambda wildcards: libraries_of(GRID.white_box_of(student_of(wildcards)).values()),
    script:
        "../workflow_scripts/attack_student.py"
