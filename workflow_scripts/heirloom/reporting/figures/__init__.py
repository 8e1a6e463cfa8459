"""Figures of a study, one a file (heirloom.config.kinds).

Each has FIGURE, a StudyFigure (heirloom.reporting.drawing.study_figure), which says when a study has it. One that is
drawn from the study's tables and histories alone has draw(drawn), which takes StudyResults and returns matplotlib's
Figure; a stage of its own draws any other. Its caption is rules/captions/<name>.rst.
"""
