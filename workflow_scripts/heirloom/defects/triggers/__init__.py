"""Triggers, one a file (heirloom.config.kinds): what is shown on an image so that an infected model errs.

Each has its settings (TriggerSettings) and load(settings, files) -> heirloom.defects.show.LoadedTrigger; `files` are
those that the settings name, in their order.
"""
