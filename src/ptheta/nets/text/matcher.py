"""Images and captions in one space, where what belongs together is near."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.compute import streams
from ptheta.conditions.text import Text
from ptheta.losses.matching import contrastive, same_rows, words_told
from ptheta.nets.convolutional import ConvEncoder
from ptheta.nets.norms import layer_norm
from ptheta.nets.text.encoders import new_encoder
from ptheta.specs import ImageSpec

FIRST_SCALE = 1 / 0.07  # CLIP's, as is the largest
MOST_SCALE = 100.0
WORDS = 0.3  # weight of word prediction, from the image and from its caption
SPREAD = 10.0  # scale of the embeddings for word prediction: initial logits are of order 1


def _layer_norm(channels: int, dims: int) -> nn.Module:
    return layer_norm(channels, dims, 0)


class Matcher(nn.Module):
    """An encoder of images and one of captions, learned by finding the caption of each image among
    those of its batch, and the image of each caption (Radford et al. 2021, arXiv:2103.00020); and
    by telling, of either alone, which words the caption has. Among a few captions the first alone
    has nothing more to learn once some of what they say tells them apart: colours and places, say,
    but not what is striped.

    It teaches an encoder what words mean before a model learns to draw them, and, trained by
    itself, judges which caption a drawn image shows.

    encoder: the encoder of captions, a `TextEncoder`
    """

    def __init__(
        self,
        spec: ImageSpec,
        condition: Text,
        encoder: str = "gru",
        width: int = 128,
        features: int = 32,
    ) -> None:
        """encoder: a name of `ENCODERS`; width: numbers of an image and of a caption; features:
        channels of the largest map"""
        super().__init__()
        self.spec, self.condition = spec, condition
        self.encoder = new_encoder(condition, encoder, width)
        c, h, w = spec.scaled_shape
        self.eye = ConvEncoder(c, h, w, width, features=features, dcgan=True, norm=_layer_norm)
        self.words = nn.Linear(width, condition.size)
        with torch.no_grad():  # one word of the vocabulary, to begin with
            self.words.bias.fill_(-math.log(condition.size))
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def scale(self) -> Tensor:
        """The inverse of the temperature: ()."""
        return self.log_scale.clamp(max=math.log(MOST_SCALE)).exp()

    def images(self, s: Tensor) -> Tensor:
        """Images as networks see them (B, C, H, W), differentiable -> (B, W) of length 1."""
        return F.normalize(self.eye(s))

    def captions(self, tokens: Tensor) -> Tensor:
        """Tokens int64 (B, T) -> (B, W) of length 1."""
        return F.normalize(self.encoder(tokens).sentence)

    def match(self, x: Tensor, tokens: Tensor) -> Tensor:
        """How well each of the images x uint8 (N, C, H, W) goes with each of the captions int64
        (M, T): cosines (N, M), the best caption of an image being the largest of its row."""
        return self.images(self.spec.scaled(x)) @ self.captions(tokens).T

    def loss(self, x: Tensor, tokens: Tensor) -> Tensor:
        """What the matcher minimises, in nats: (B,), of images uint8 (B, C, H, W) and captions."""
        return self.found(self.spec.scaled(x), tokens)

    def found(self, s: Tensor, tokens: Tensor) -> Tensor:
        """The same of images as networks see them, (B, C, H, W), differentiable in these.

        It is of the whole batch, whichever processes hold its parts.
        """
        of_images, of_captions = self.images(s), self.captions(tokens)
        a, b, captions = (streams.whole(part) for part in (of_images, of_captions, tokens))
        found = streams.back(contrastive(a, b, self.scale(), same_rows(captions)))
        return found + WORDS * (
            self.word_loss(of_images, tokens) + self.word_loss(of_captions, tokens)
        )

    def word_loss(self, embedded: Tensor, tokens: Tensor) -> Tensor:
        """Loss of predicting the words of captions from them or from their images, each as a
        point (B, W) of the space: nats, (B,)."""
        present = self.condition.vector(tokens).clamp(max=1).to(embedded.dtype)
        return words_told(self.words(SPREAD * embedded), present)
