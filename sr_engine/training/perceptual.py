"""The second stage of RDST (arXiv 2302.11184, III-D): what a segmentation U-Net sees must agree too.

``L_E(i) = mean |U[E_i](sr) - U[E_i](hr)|``, ``L_D`` the same with decoder features, and ``L_HRL``, the soft Dice loss
of U(sr) against argmax U(hr) over the foreground classes. Each predicted slice is judged by itself, so any network that
makes slices can be taught.

Where the released code departs from the paper, the paper is followed: a true L1, a U-Net that is frozen and in
evaluation mode, and a mean over layers.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sr_engine.intensity import CT_RANGE
from sr_engine.training.config import PerceptualConfig
from sr_engine.training.segmenter import Segmenter, load

SMOOTH = 1.0  # keeps Dice defined where a class is absent from a crop


class PerceptualLoss:
    """The loss a frozen U-Net gives.

    Parameters
    ----------
    segmenter : Segmenter
        Is frozen and set to evaluation mode.
    config : PerceptualConfig
        Which features.
    """

    def __init__(self, segmenter: Segmenter, config: PerceptualConfig) -> None:
        self.segmenter = segmenter.eval().requires_grad_(False)
        self.config = config

    def __call__(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Compare slices, both float32, HU, shape (B, slices, H, W), H and W >= 16; a scalar, 0 for equal features.

        ``segmentation`` is not 0 for equal slices: the U-Net is never quite sure.
        """
        restored, real = predicted.flatten(0, 1), truth.flatten(0, 1)
        if self.config.kind == "segmentation":
            return self._against_segmentation(restored, real)
        with torch.no_grad():
            wanted = self._features(real)
        pairs = zip(self._features(restored), wanted, strict=True)
        return torch.stack([functional.l1_loss(one, other) for one, other in pairs]).mean()

    def _features(self, slices: Tensor) -> list[Tensor]:
        layers = self.config.layers
        if self.config.kind == "encoder":
            features = self.segmenter.encoder(slices, max(layers))
        else:
            features = self.segmenter.decoder(slices)
        return [features[layer] for layer in layers]

    def _against_segmentation(self, restored: Tensor, real: Tensor) -> Tensor:
        """1 - soft Dice over the foreground classes, counted over all slices at once."""
        with torch.no_grad():
            classes = self.segmenter(real).argmax(1)
        guess = self.segmenter(restored).softmax(1)
        wanted = functional.one_hot(classes, guess.shape[1]).movedim(-1, 1).to(guess)
        both, sizes = ((guess * wanted).sum((0, 2, 3)), (guess + wanted).sum((0, 2, 3)))
        dice = (2 * both + SMOOTH) / (sizes + SMOOTH)
        loss: Tensor = 1 - dice[1:].mean()
        return loss


def load_perceptual(config: PerceptualConfig, device: torch.device) -> PerceptualLoss:
    """Read the U-Net and make the loss.

    Raises
    ------
    WeightsUnavailable, EngineError
        As :func:`sr_engine.training.segmenter.load`.
    """
    segmenter, _ = load(config.weights)
    return PerceptualLoss(segmenter.to(device), config)


def second_stage(image_loss: Tensor, perceptual: Tensor, config: PerceptualConfig, unit_hu: float) -> Tensor:
    """Add up alpha * L + lambda * L_U with the paper's balance, in units of ``unit_hu`` like ``image_loss``.

    The paper's L1 is over intensities of 0..1; ours is over HU, so L_U is scaled by as much as L1 was.
    """
    scale = (CT_RANGE.high_hu - CT_RANGE.low_hu) / unit_hu
    total: Tensor = config.alpha * image_loss + config.lambda_ * scale * perceptual
    return total
