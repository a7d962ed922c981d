"""Networks: backbones without losses."""

from ptheta.nets.activations import ACTIVATIONS, Activation
from ptheta.nets.adversarial.config import NetConfig
from ptheta.nets.adversarial.discriminator import Discriminator
from ptheta.nets.adversarial.generator import Generator
from ptheta.nets.adversarial.networks import NETWORKS, Network
from ptheta.nets.augment import AUGMENTATIONS, Augmentation
from ptheta.nets.coders import CODERS, CoderConfig, decoder, encoder
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder, init_dcgan
from ptheta.nets.heads import HEADS, Head, head
from ptheta.nets.masked import AboveConv2d, MaskedConv2d, RowConv2d
from ptheta.nets.minibatch import MINIBATCH, MinibatchDiscrimination, MinibatchStddev
from ptheta.nets.mlp import mlp
from ptheta.nets.norms import (
    NORMS,
    InstanceNorm,
    Normalisation,
    VirtualBatchNorm,
    normalisation,
)
from ptheta.nets.pixel_lstm import DiagonalLayer, RowLayer
from ptheta.nets.resnet import DownBlock, ResNetDecoder, ResNetTrunk, UpBlock
from ptheta.nets.translation.patch import PATCHES, MultiScaleDiscriminator, PatchDiscriminator
from ptheta.nets.translation.unet import UNet

__all__ = [
    "ACTIVATIONS",
    "AUGMENTATIONS",
    "CODERS",
    "HEADS",
    "MINIBATCH",
    "NETWORKS",
    "NORMS",
    "PATCHES",
    "AboveConv2d",
    "Activation",
    "Augmentation",
    "CoderConfig",
    "ConvDecoder",
    "ConvEncoder",
    "DiagonalLayer",
    "Discriminator",
    "DownBlock",
    "Generator",
    "Head",
    "InstanceNorm",
    "MaskedConv2d",
    "MinibatchDiscrimination",
    "MinibatchStddev",
    "MultiScaleDiscriminator",
    "NetConfig",
    "Network",
    "Normalisation",
    "PatchDiscriminator",
    "ResNetDecoder",
    "ResNetTrunk",
    "RowConv2d",
    "RowLayer",
    "UNet",
    "UpBlock",
    "VirtualBatchNorm",
    "decoder",
    "encoder",
    "head",
    "init_dcgan",
    "mlp",
    "normalisation",
]
