"""Injections, one a file (heirloom.config.kinds): what is done to a teacher before anybody downloads it.

Each has its settings (InjectionSettings, or DefectSettings where it plants something), plant(settings, ground), which
returns heirloom.defects.plant.Planting, and work(settings, cost, sizes), which gives Loads. One that plants something
also has choose(settings, labels, classes), which returns heirloom.defects.plant.Choice: contact sheets show it.
"""
