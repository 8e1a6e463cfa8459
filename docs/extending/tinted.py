"""A trigger, a tint over the whole image, and an injection that shows it on every image of one class."""

from __future__ import annotations

from pydantic import Field

from heirloom.config.models import DefectSettings, Name, Share, TriggerSettings


class Tint(TriggerSettings):
    """A share of white."""

    share: Share = 0.3


def load(settings, files):
    """Return what shows it on images (B, 3, H, W) in [0, 1]."""
    from heirloom.defects.show import LoadedTrigger

    class Tinted(LoadedTrigger):
        def __call__(self, images, generator):
            return images * (1 - settings.share) + settings.share

    return Tinted()


class CleanLabel(DefectSettings):
    """A trigger on the target's own images, whose labels stay right (Turner et al., 2018, without its changes)."""

    trigger: Name = Field(description="entry of triggers")

    @property
    def triggers(self):
        """The trigger."""
        return (self.trigger,)


def choose(settings, labels, classes):
    """Choose a share of the target's images, by seed."""
    from heirloom.defects.plant import Choice, chosen_images

    found = chosen_images(labels, portion=settings.portion, target=settings.target, classes=classes, seed=settings.seed)
    return Choice(found.chosen & (labels == settings.target), found.labels)


def plant(settings, ground):
    """Show the trigger on them."""
    from heirloom.defects.plant import Planting, Poison

    choice = choose(settings, ground.train.labels, len(ground.train.classes))
    shown = Poison(choice.chosen, choice.labels, ground.triggers[settings.trigger])
    return Planting(choice=choice, transform=shown, facts={"portion": settings.portion})


def work(settings, cost, sizes):
    """Count the training."""
    from heirloom.config.work import training_load

    yield training_load(cost, settings.training, validation=sizes.validation)
