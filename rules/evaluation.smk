"""
Predictions of every student of one teacher, injection and data set, clean and attacked, on the test part.

INPUTS:     students and, where its head knows the classes, their teacher
            results/shared/data/{dataset}/{preparation}/card.json, test/
            the triggers' pictures
OUTPUTS:    results/<study>/evaluations/{teacher}/{injection}/{dataset}/predictions.parquet
"""

EVALUATION = paths.evaluation_folder(study=STUDY)


def evaluation_of(wildcards):
    """The grid's record behind the wildcards."""
    return Evaluation(wildcards.teacher, wildcards.injection, wildcards.dataset)


def judged_models(wildcards):
    """Inputs: cards and weights of the students and, where it can be judged, of their teacher."""
    evaluation = evaluation_of(wildcards)
    students = [student.folder(STUDY) for student in GRID.students_of(evaluation)]
    teachers = [
        paths.teacher_folder(wildcards.teacher, wildcards.injection)
    ] * GRID.judges_teacher(evaluation)
    return {
        "students": [f"{folder}/card.json" for folder in students],
        "student_weights": ancient(
            [f"{folder}/weights.safetensors" for folder in students]
        ),
        "teacher_card": [f"{folder}/card.json" for folder in teachers],
        "teacher_weights": ancient(
            [f"{folder}/weights.safetensors" for folder in teachers]
        ),
    }


rule evaluate_students:
    input:
        unpack(lambda wildcards: prepared(GRID.student_data(wildcards.dataset), "test")),
        unpack(judged_models),
        triggers=lambda wildcards: [
            trigger_picture(name)
            for name in GRID.triggers_of(evaluation_of(wildcards))
        ],
    output:
        predictions=f"{EVALUATION}/predictions.parquet",
    log:
        log_of("evaluate_students", EVALUATION),
    benchmark:
        benchmark_of("evaluate_students", EVALUATION)
    threads: GRID.study.evaluation_threads
    resources:
        **resources_of("evaluate_students"),
    params:
        students=lambda wildcards: [
            {"method": student.method, "seed": student.seed}
            for student in GRID.students_of(evaluation_of(wildcards))
        ],
        triggers=lambda wildcards: {
            name: plain(GRID.catalogue.triggers[name])
            for name in GRID.triggers_of(evaluation_of(wildcards))
        },
        batch_size=GRID.study.evaluation_batch,
        threads=GRID.study.evaluation_threads,
        code=code_of(
            "evaluate_students", lambda wildcards: body_code(wildcards.teacher)
        ),
    script:
        "../workflow_scripts/evaluate_students.py"
