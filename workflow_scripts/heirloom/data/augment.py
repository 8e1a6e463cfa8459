"""Batches of stored uint8 images as varied or plain float images, on whatever device they lie (METHODS 1.1).

Every random number is drawn per sample from the generator that is passed, on the generator's own device, so that the
same seed gives the same crops and flips wherever the images lie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.config.models import Augmentation

# Boxes drawn per sample before falling back to the largest central one, as torchvision's RandomResizedCrop does.
ATTEMPTS = 10


def augment(images: Tensor, augmentation: Augmentation, crop: int, generator: torch.Generator) -> Tensor:
    """Vary a batch for training: a crop and a flip of its own for each sample.

    `images`: uint8 (B, H, W, 3). Returns float32 (B, 3, crop, crop) in [0, 1], channels_last, on the images' device.
    "resized" interpolates bilinearly without a low-pass filter, so the stored side should not be much above `crop`;
    "padded" and "none" move pixels without changing them. Raises ValueError when the crop does not fit the images.
    """
    _check(images, crop if augmentation.crop == "none" else 1)
    mirrored = _mirrored(len(images), augmentation, generator)
    return _CROPS[augmentation.crop](images, augmentation, crop, generator, mirrored)


def centre(images: Tensor, crop: int) -> Tensor:
    """Cut the central square out of a batch, for evaluation: no resampling, every value is a stored one over 255.

    `images`: uint8 (B, H, W, 3). Returns float32 (B, 3, crop, crop) in [0, 1], channels_last. Raises ValueError.
    """
    _check(images, crop)
    return _to_float(_central(images, crop))


def _central(images: Tensor, crop: int) -> Tensor:
    """Cut the central square out of a batch (B, H, W, 3)."""
    top, left = (images.shape[1] - crop) // 2, (images.shape[2] - crop) // 2
    return images[:, top : top + crop, left : left + crop]


def _check(images: Tensor, crop: int) -> None:
    """Refuse what is no batch of stored images, or too small for the crop."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(f"images must be uint8 (B, H, W, 3), not {images.dtype} {tuple(images.shape)}")
    if crop > min(images.shape[1:3]):
        raise ValueError(f"cannot cut {crop} x {crop} pixels out of {images.shape[1]} x {images.shape[2]}")


def _to_float(images: Tensor) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, H, W) in [0, 1]; memory keeps its order, which is channels_last."""
    return images.contiguous().permute(0, 3, 1, 2).to(torch.float32).div_(255)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw from [0, 1) where the generator lives."""
    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)


def _mirrored(count: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Say which samples are mirrored: each with probability one half; bool (B,)."""
    if not augmentation.flip:
        return torch.zeros(count, dtype=torch.bool, device=generator.device)
    return _uniform((count,), generator) < 0.5


def _unpadded(
    images: Tensor, _augmentation: Augmentation, crop: int, _generator: torch.Generator, mirrored: Tensor
) -> Tensor:
    """Cut the centre of each sample and mirror some."""
    plain = _central(images, crop)
    return _to_float(torch.where(mirrored.to(images.device)[:, None, None, None], plain.flip(2), plain))


def _padded(
    images: Tensor, augmentation: Augmentation, crop: int, generator: torch.Generator, mirrored: Tensor
) -> Tensor:
    """Cut each sample at a random place of the image with a reflected border, and mirror some (METHODS 3.3)."""
    padding = augmentation.padding
    room = torch.tensor([side + 2 * padding - crop + 1 for side in images.shape[1:3]], dtype=torch.float64)
    if room.min() < 1 or padding >= min(images.shape[1:3]):
        raise ValueError(f"a crop of {crop} with padding {padding} does not fit images of {tuple(images.shape[1:3])}")
    drawn = _uniform((len(images), 2), generator)
    return _gather(images, (drawn * room.to(drawn.device)).long() - padding, crop, mirrored)


def _gather(images: Tensor, origin: Tensor, crop: int, mirrored: Tensor) -> Tensor:
    """Cut squares whose upper left corners are `origin` (B, 2: row, column); beyond the border pixels are reflected."""
    steps = torch.arange(crop)
    columns = torch.where(mirrored.cpu()[:, None], steps.flip(0), steps)
    rows = _reflected(origin[:, :1].cpu() + steps, images.shape[1]).to(images.device)
    columns = _reflected(origin[:, 1:].cpu() + columns, images.shape[2]).to(images.device)
    samples = torch.arange(len(images), device=images.device)[:, None, None]
    return _to_float(images[samples, rows[:, :, None], columns[:, None, :]])


def _reflected(places: Tensor, side: int) -> Tensor:
    """Fold places in [-(side - 1), 2 * (side - 1)] back into [0, side - 1]; the border pixel itself is not repeated."""
    return (side - 1) - ((side - 1) - places.abs()).abs()


def _resized(
    images: Tensor, augmentation: Augmentation, crop: int, generator: torch.Generator, mirrored: Tensor
) -> Tensor:
    """Cut a box of random area and aspect ratio out of each sample, resize it to `crop` and mirror some."""
    height, width = images.shape[1:3]
    box = _boxes(len(images), (height, width), augmentation, generator)
    theta = _transforms(box, (height, width), mirrored).to(device=images.device, dtype=torch.float32)
    grid = functional.affine_grid(theta, [len(images), 3, crop, crop], align_corners=False)
    planes = images.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)  # sampling planes is 3 times as fast
    result = functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return result.clamp_(0, 1).contiguous(memory_format=torch.channels_last)


def _boxes(count: int, size: tuple[int, int], augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Draw boxes (B, 4: top, left, height, width) in pixels inside images of `size` (height, width).

    Area uniform in `scale`, logarithm of width over height uniform in `ratio`'s, place uniform.
    """
    low, high = augmentation.scale
    area = (low + (high - low) * _uniform((count, ATTEMPTS), generator)) * size[0] * size[1]
    log_low, log_high = torch.tensor(augmentation.ratio, dtype=torch.float64).log().tolist()
    ratio = (log_low + (log_high - log_low) * _uniform((count, ATTEMPTS), generator)).exp()
    place = _uniform((count, 2), generator)
    sides = torch.stack([(area / ratio).sqrt(), (area * ratio).sqrt()], dim=-1)
    limit = torch.tensor(size, dtype=torch.float64, device=sides.device)
    fits = (sides <= limit).all(dim=-1)
    # argmax of a 0/1 tensor is not promised to be the first maximum; of a falling ramp it is the first that fits
    first = (fits * torch.arange(ATTEMPTS, 0, -1, device=sides.device)).argmax(dim=1)
    chosen = sides[torch.arange(count, device=sides.device), first]
    largest = torch.tensor(_largest(size, augmentation.ratio), dtype=torch.float64, device=sides.device)
    none_fits = ~fits.any(dim=1, keepdim=True)
    chosen = torch.where(none_fits, largest, chosen)
    return torch.cat([torch.where(none_fits, torch.full_like(place, 0.5), place) * (limit - chosen), chosen], dim=1)


def _largest(size: tuple[int, int], ratio: tuple[float, float]) -> tuple[float, float]:
    """Height and width of the largest box inside an image whose width over height lies in `ratio`."""
    height, width = size
    wanted = min(max(width / height, ratio[0]), ratio[1])
    return min(height, width / wanted), min(width, height * wanted)


def _transforms(box: Tensor, size: tuple[int, int], mirrored: Tensor) -> Tensor:
    """Affine maps (B, 2, 3) from the output's square [-1, 1]^2 to the box in the input's; x first, as torch wants."""
    top, left, height, width = box.unbind(dim=1)
    theta = torch.zeros(len(box), 2, 3, dtype=box.dtype, device=box.device)
    theta[:, 0, 0] = torch.where(mirrored, -width, width) / size[1]
    theta[:, 1, 1] = height / size[0]
    theta[:, 0, 2] = (2 * left + width) / size[1] - 1
    theta[:, 1, 2] = (2 * top + height) / size[0] - 1
    return theta


_Crop = Callable[[Tensor, Augmentation, int, torch.Generator, Tensor], Tensor]
_CROPS: Mapping[str, _Crop] = MappingProxyType({"none": _unpadded, "padded": _padded, "resized": _resized})
