"""Defects that are planted in teachers: injections and the triggers that some of them answer to."""
