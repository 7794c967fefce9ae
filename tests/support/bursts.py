"""Bursts to test with."""

import numpy as np
from skimage.data import astronaut


def scene(height=180, width=240):
    """A photograph, float32 planes ``(3, height, width)``."""
    pixels = astronaut()[20 : 20 + height, 130 : 130 + width]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / 255


def shaken(latent, count, seed=0, sigma=2.5, noise=0.005):
    """Frames of `latent`, each blurred in another direction."""
    rng = np.random.default_rng(seed)
    frames = []
    for number in range(count):
        blurred = _blurred(latent, np.pi * number / count, sigma)
        frames.append(np.clip(blurred + noise * rng.standard_normal(latent.shape), 0, 1).astype(np.float32))
    return frames


def pixels_of(planes, dtype=np.uint8):
    """Planes as an array of pixels ``(H, W, C)``."""
    return np.ascontiguousarray(np.rint(planes.transpose(1, 2, 0) * np.iinfo(dtype).max).astype(dtype))


def psnr(image, truth, border=0):
    """PSNR in dB of planes, `border` pixels at each side left out."""
    inner = (..., slice(border, image.shape[-2] - border), slice(border, image.shape[-1] - border))
    return float(-10 * np.log10(np.mean((image[inner] - truth[inner]) ** 2)))


def _blurred(latent, angle, sigma):
    """Blur along one direction by a Gaussian in the Fourier domain, the frame mirrored beyond its borders."""
    margin = 16
    padded = np.pad(latent, ((0, 0), (margin, margin), (margin, margin)), mode="symmetric")
    v = np.fft.fftfreq(padded.shape[1])[:, None]
    u = np.fft.rfftfreq(padded.shape[2])
    response = np.exp(-2 * (np.pi * sigma * (np.cos(angle) * u + np.sin(angle) * v)) ** 2)
    blurred = np.fft.irfft2(np.fft.rfft2(padded) * response, s=padded.shape[1:])
    return blurred[:, margin:-margin, margin:-margin]


def exposed(frame, stops):
    """A frame of values like those in files (sRGB) under another exposure, clipped."""
    light = (
        np.where(frame <= 0.04045, frame / 12.92, ((np.maximum(frame, 0.04045) + 0.055) / 1.055) ** 2.4) * 2.0**stops
    )
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def walking_box(latent, count, side=30, step=24, top=90):
    """The scene `count` times, each time with a red box at another place."""
    scenes = []
    for number in range(count):
        scenes.append(latent.copy())
        left = 8 + step * number
        scenes[-1][:, top : top + side, left : left + side] = np.array([0.9, 0.15, 0.1], np.float32)[:, None, None]
    return scenes


def shaken_each(scenes, **options):
    """One frame of each scene, blurred as `shaken` blurs the frames of one."""
    return [shaken(latent, len(scenes), **options)[number] for number, latent in enumerate(scenes)]


def banded(frame, phase, depth=0.4, period=56):
    """A frame under a lamp that flickers while its rows are read."""
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * np.arange(frame.shape[1]) / period + phase)
    return (frame * (1 - depth * waves)[:, None]).astype(np.float32)


def shaded(frame, corner, depth=0.5):
    """A frame that grows darker towards one of its corners, 0 to 3."""
    down, across = (np.linspace(0, 1, size) for size in frame.shape[1:])
    down, across = down[:: -1 if corner & 1 else 1], across[:: -1 if corner & 2 else 1]
    return (frame * (1 - depth * np.add.outer(down, across) / 2)).astype(np.float32)
