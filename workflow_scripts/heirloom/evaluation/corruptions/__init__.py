"""Common corruptions of images, drawn anew for any data set (Hendrycks and Dietterich, ICLR 2019; METHODS 3).

An entry names "module:function", called as corrupt(images, severity, draws): images float32 (B, 3, S, S) in [0, 1], a
severity from 1 to 5; the result has the same shape and range. What differs from the published generation stands in
docs/datasets.md.
"""

from collections.abc import Mapping
from types import MappingProxyType

_HERE = "heirloom.evaluation.corruptions"
CORRUPTERS: Mapping[str, str] = MappingProxyType(
    {
        "gaussian-noise": f"{_HERE}.noise:gaussian_noise",
        "shot-noise": f"{_HERE}.noise:shot_noise",
        "speckle-noise": f"{_HERE}.noise:speckle_noise",
        "impulse-noise": f"{_HERE}.noise:impulse_noise",
        "defocus-blur": f"{_HERE}.blur:defocus_blur",
        "gaussian-blur": f"{_HERE}.blur:gaussian_blur",
        "motion-blur": f"{_HERE}.blur:motion_blur",
        "zoom-blur": f"{_HERE}.blur:zoom_blur",
        "snow": f"{_HERE}.weather:snow",
        "frost": f"{_HERE}.weather:frost",
        "fog": f"{_HERE}.weather:fog",
        "brightness": f"{_HERE}.colour:brightness",
        "contrast": f"{_HERE}.colour:contrast",
        "saturate": f"{_HERE}.colour:saturate",
        "spatter": f"{_HERE}.spatter:spatter",
        "elastic-transform": f"{_HERE}.resampling:elastic_transform",
        "pixelate": f"{_HERE}.resampling:pixelate",
        "jpeg-compression": f"{_HERE}.resampling:jpeg_compression",
    }
)
