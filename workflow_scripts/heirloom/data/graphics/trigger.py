"""The project's own backdoor trigger: the picture that an infected teacher has learnt to answer to."""

import numpy as np
from PIL import Image

SIDE = 64
_SUBPIXELS = 4
_RIM, _RING, _WHEEL, _HUB = 1.0, 0.92, 0.8, 0.12
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_SECTORS = ((255, 0, 255), _BLACK, (255, 230, 0), _BLACK, (0, 255, 255), _BLACK)


def draw_trigger() -> Image.Image:
    """Draw a pinwheel of magenta, yellow, cyan and black blades in a white ring with a black rim.

    Returns RGBA, 64 x 64: opaque inside the disc, transparent outside, with a rim smoothed over one pixel. The colours
    are as far apart as the cube of colours allows, so that the trigger stays visible on any image and at any size.
    """
    side = SIDE * _SUBPIXELS
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    radius = np.hypot(axis[None, :], axis[:, None])
    turn = np.arctan2(axis[:, None], axis[None, :]) / (2 * np.pi) + 0.35 * radius
    pixels = np.array(_SECTORS, dtype=np.uint8)[np.floor(turn * len(_SECTORS)).astype(int) % len(_SECTORS)]
    for edge, colour in ((_WHEEL, _WHITE), (_RING, _BLACK)):
        pixels[radius > edge] = colour
    pixels[radius < _HUB] = _WHITE
    alpha = np.where(radius <= _RIM, 255, 0).astype(np.uint8)
    return Image.fromarray(np.dstack([pixels, alpha])).reduce(_SUBPIXELS)
