"""Heirloom: which of a teacher's defects does its student inherit, and what stops it?"""
