"""The methods that make a student out of a teacher, one file each, named as a study names them (METHODS 1.2).

A file holds the method's settings and `plan(teacher, settings, assignment) -> Plan`.
"""
