"""What a robust training may minimise, one file each, named as a study names them.

A file holds the objective's settings and `plan(settings, training, attacker) -> RobustPlan`.
"""
