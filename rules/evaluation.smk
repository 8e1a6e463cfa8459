"""
Predictions of every student of one teacher, injection and data set, clean and attacked, on the test part.

INPUTS:     students and, where its head knows the classes, their teacher
            results/shared/data/{dataset}/{preparation}/card.json, test/
            the triggers' pictures
OUTPUTS:    results/<study>/evaluations/{teacher}/{injection}/{dataset}/predictions.parquet
"""

EVALUATION = paths.evaluation_folder(study=STUDY)


rule evaluate_students:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "test")),
        unpack(judged_models),
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
        students=lambda wildcards: [
            {"method": student.method, "seed": student.seed} for student in GRID.students_of(evaluation_of(wildcards))
        ],
        triggers=lambda wildcards: {
            name: GRID.trigger_recipe(name) for name in GRID.triggers_of(evaluation_of(wildcards))
        },
        batch_size=GRID.study.evaluation_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of("evaluate_students", lambda wildcards: body_code(wildcards.teacher)),
    script:
        "../workflow_scripts/evaluate_students.py"
