"""Batches of stored uint8 images as varied or plain float images, on whatever device they lie.

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
LUMA = (0.2989, 0.587, 0.114)  # weights of red, green and blue in a grey value (ITU-R BT.601), as torchvision's
_CONTRAST, _SATURATION = 1, 2  # places in jittered's factors; 0 is brightness


def augment(images: Tensor, augmentation: Augmentation, crop: int, generator: torch.Generator) -> Tensor:
    """Vary a batch for training: a crop, a flip, a rotation and colours of its own for each sample.

    `images`: uint8 (B, H, W, 3). Returns float32 (B, 3, crop, crop) in [0, 1], channels_last, on the images' device.
    "resized" interpolates bilinearly without a low-pass filter, so the stored side should not be much above `crop`;
    "padded" and "none" move pixels without changing them. Raises ValueError when the crop does not fit the images.
    """
    frame = augmentation.frame(crop)
    _check(images, frame if augmentation.crop == "none" else 1)
    mirrored = _mirrored(len(images), augmentation, generator)
    varied = _CROPS[augmentation.crop](images, augmentation, frame, generator, mirrored)
    if augmentation.rotation:
        turns = 2 * _uniform((len(images),), generator) - 1
        varied = rotated(varied, augmentation.rotation * turns, crop)
    elif frame > crop:
        edge = (frame - crop) // 2
        middle = varied[:, :, edge : edge + crop, edge : edge + crop]
        varied = middle.contiguous(memory_format=torch.channels_last)
    if augmentation.jitter:
        factors = 1 + augmentation.jitter * (2 * _uniform((len(images), 3), generator) - 1)
        varied = jittered(varied, factors, _uniform((len(images), 3), generator).argsort(dim=1))
    return varied


def centre(images: Tensor, crop: int) -> Tensor:
    """Cut the central square out of a batch, for evaluation: no resampling, every value is a stored one over 255.

    `images`: uint8 (B, H, W, 3). Returns float32 (B, 3, crop, crop) in [0, 1], channels_last. Raises ValueError.
    """
    _check(images, crop)
    return _to_float(_central(images, crop))


def rotated(images: Tensor, degrees: Tensor, crop: int) -> Tensor:
    """Turn square images about their middle, each counter-clockwise by its own angle, and cut out the central square.

    `images`: float32 (B, C, S, S). `degrees`: (B,). Returns float32 (B, C, crop, crop), channels_last; pixels are
    interpolated bilinearly, and what lies beyond the image is black.
    """
    angle = degrees.deg2rad()
    rows = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
    theta = functional.pad(rows * (crop / images.shape[2]), (0, 1)).to(device=images.device, dtype=images.dtype)
    grid = functional.affine_grid(theta, [*images.shape[:2], crop, crop], align_corners=False)
    turned = functional.grid_sample(images.contiguous(), grid, padding_mode="zeros", align_corners=False)
    return turned.contiguous(memory_format=torch.channels_last)


def jittered(images: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """Change brightness, contrast and saturation of each image by its own factors, in its own order.

    `images`: float32 (B, 3, H, W) in [0, 1], R, G, B. `factors`: (B, 3), for the three in the order above; 1 changes
    nothing. `order`: int64 (B, 3), permutations of 0, 1, 2. Each of the three mixes the image with another one: black,
    its mean grey, its grey picture (as torchvision's ColorJitter without hue); results are clipped to [0, 1].
    """
    luma = images.new_tensor(LUMA)[:, None, None]
    for change in order.unbind(dim=1):
        factor = factors.gather(1, change[:, None]).to(images)[:, :, None, None]
        kind = change.to(images.device)[:, None, None, None]
        grey = (images * luma).sum(dim=1, keepdim=True)
        other = torch.where(kind == _SATURATION, grey, grey.mean(dim=(2, 3), keepdim=True) * (kind == _CONTRAST))
        images = torch.lerp(other, images, factor).clamp_(0, 1)
    return images


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
    """Cut each sample at a random place of the image with a reflected border, and mirror some."""
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
