"""Detectors of backdoors, one a file (heirloom.config.kinds).

Each has its settings (DetectorSettings), detect(model, part, settings, checkpoint), which returns
heirloom.defences.findings.Findings, and work(settings, cost, sizes, threads), which gives Loads. `model` lies on its
device, `part` holds clean training images. WORDS, if it
has them, are what sentences call its score and, where each class has a score, that of one class; {detector} is its name
in the study.
"""
