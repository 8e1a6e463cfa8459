"""The methods that make a student out of a teacher, a file each, by their names (docs/methods.md#transfer-methods).

A file holds the method's settings and `plan(teacher, settings, assignment) -> Plan`.
"""
