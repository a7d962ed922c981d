"""The registry: every model by name. Adding a model is one file in `models/` and one line here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType

from ptheta import plugins
from ptheta.errors import unknown
from ptheta.models.entries import Entry, Listed, gan

MODELS: dict[str, Listed] = {
    "gan": gan(
        "gan",
        "arXiv:1406.2661",
        about="a generator against a discriminator: every loss, penalty and network by option",
    ),
    "dcgan": gan("dcgan", "arXiv:1511.06434", about="the convolutional GAN"),
    "lsgan": gan(
        "lsgan", "arXiv:1611.04076", about="a GAN with least squares in the place of the logarithm"
    ),
    "wgan": gan(
        "wgan",
        "arXiv:1701.07875",
        about="a GAN by the Wasserstein distance, weights of the critic clipped",
    ),
    "wgan-gp": gan(
        "wgan-gp",
        "arXiv:1704.00028",
        about="a GAN by the Wasserstein distance, with a gradient penalty",
    ),
    "dragan": gan(
        "dragan", "arXiv:1705.07215", about="a GAN with a gradient penalty around real images"
    ),
    "began": gan(
        "began",
        "arXiv:1703.10717",
        about="a GAN whose discriminator is an autoencoder, kept in balance",
    ),
    "sngan": gan(
        "sngan", "arXiv:1802.05957", about="a GAN with spectral normalisation, hinge loss"
    ),
    "r3gan": gan(
        "r3gan",
        "arXiv:2501.05441",
        about="a relativistic GAN with gradient penalties on real and generated images",
    ),
    "cgan": gan("cgan", "arXiv:1411.1784", about="a GAN whose two networks are given the label"),
    "acgan": gan(
        "acgan",
        "arXiv:1610.09585",
        about="a GAN given labels, whose discriminator also names the label",
    ),
    "projection-gan": gan(
        "projection-gan",
        "arXiv:1802.05637",
        about="a GAN given labels, which the discriminator projects on",
    ),
    "progressive-gan": gan(
        "progressive-gan",
        "arXiv:1710.10196",
        about="a GAN whose networks learn small images first, and grow",
    ),
    "infogan": Entry(
        "adversarial.infogan",
        "InfoGAN",
        "InfoGANConfig",
        "arXiv:1606.03657",
        about="a GAN with a code, category and numbers, that can be read off the image",
    ),
    "vae": Entry(
        "variational.vae",
        "VAE",
        "VAEConfig",
        "arXiv:1312.6114",
        about="an encoder and a decoder, trained on a bound of the likelihood",
    ),
    "iwae": Entry(
        "variational.iwae",
        "IWAE",
        "IWAEConfig",
        "arXiv:1509.00519",
        about="a VAE trained on a tighter bound, with several codes of each example",
    ),
    "cvae": Entry(
        "variational.cvae",
        "CVAE",
        "CVAEConfig",
        "arXiv:1406.5298",
        about="a VAE that is given labels, attributes or another condition",
    ),
    "beta-tcvae": Entry(
        "variational.beta_tcvae",
        "BetaTCVAE",
        "BetaTCVAEConfig",
        "arXiv:1802.04942",
        about="a VAE whose codes have little total correlation: a factor to a dimension",
    ),
    "ladder-vae": Entry(
        "variational.ladder_vae",
        "LadderVAE",
        "LadderVAEConfig",
        "arXiv:1602.02282",
        about="a VAE with two to five layers of codes, each corrected by the data from its prior",
    ),
    "vq-vae": Entry(
        "variational.vq_vae",
        "VQVAE",
        "VQVAEConfig",
        "arXiv:1711.00937",
        about="an autoencoder whose codes are of a learned table; an autoregressive prior of these",
    ),
    "avb": Entry(
        "variational.avb",
        "AVB",
        "AVBConfig",
        "arXiv:1701.04722",
        about="a VAE whose posterior is what a network makes of noise",
    ),
    "ae": Entry(
        "autoencoders.ae",
        "AE",
        "AEConfig",
        "Hinton 2006",
        about="a code for each example and an example for each code; no density",
    ),
    "dae": Entry(
        "autoencoders.dae",
        "DAE",
        "DAEConfig",
        "Vincent 2010",
        about="an autoencoder that is shown damaged examples and gives the clean ones",
    ),
    "gsn": Entry(
        "autoencoders.gsn",
        "GSN",
        "GSNConfig",
        "arXiv:1306.1091",
        about="a denoising autoencoder that gives a distribution, sampled by its Markov chain",
    ),
    "aae": Entry(
        "hybrid.aae",
        "AAE",
        "AAEConfig",
        "arXiv:1511.05644",
        about="an autoencoder whose codes a discriminator makes normally distributed",
    ),
    "vae-gan": Entry(
        "hybrid.vae_gan",
        "VAEGAN",
        "VAEGANConfig",
        "arXiv:1512.09300",
        about="a VAE whose error is measured in the features of a discriminator",
    ),
    "alpha-gan": Entry(
        "hybrid.alpha_gan",
        "AlphaGAN",
        "AlphaGANConfig",
        "arXiv:1706.04987",
        about="a VAE with a discriminator of examples and one of codes",
    ),
    "gmmn": Entry(
        "matching.gmmn",
        "GMMN",
        "GMMNConfig",
        "arXiv:1502.02761",
        about="a generator without a discriminator, whose samples a kernel matches to the data",
    ),
    "wae-mmd": Entry(
        "matching.wae",
        "WAE",
        "WAEConfig",
        "arXiv:1711.01558",
        about="an autoencoder whose codes are made normally distributed by a kernel",
    ),
    "pix2pix": Entry(
        "translation.pix2pix",
        "Pix2Pix",
        "Pix2PixConfig",
        "arXiv:1611.07004",
        about="from image to image, learned from pairs of an input and a target",
    ),
    "bicycle-gan": Entry(
        "translation.bicycle_gan",
        "BicycleGAN",
        "BicycleGANConfig",
        "arXiv:1711.11586",
        about="from image to image, learned from pairs; several answers to one input",
    ),
    "cyclegan": Entry(
        "translation.cyclegan",
        "CycleGAN",
        "CycleGANConfig",
        "arXiv:1703.10593",
        about="from one domain of images to another, learned without pairs",
    ),
    "context-gan": Entry(
        "translation.context_gan",
        "ContextGAN",
        "ContextGANConfig",
        "arXiv:1803.07422",
        about="completes images of which any part is unknown",
    ),
    "text-gan": Entry(
        "text.text_gan",
        "TextGAN",
        "TextGANConfig",
        "arXiv:1605.05396",
        about="from a caption to an image, against a discriminator that is shown wrong captions",
    ),
    "stackgan": Entry(
        "text.stackgan",
        "StackGAN",
        "StackGANConfig",
        "arXiv:1612.03242",
        about="from a caption to a small image, and from both to a large one",
    ),
    "rbm": Entry(
        "energy.rbm",
        "RBM",
        "RBMConfig",
        "Hinton 2002",
        about="an energy of visible and hidden units, each side independent given the other",
    ),
    "gaussian": Entry(
        "mixtures.gaussian",
        "Gaussian",
        "GaussianConfig",
        "Gauss 1809",
        about="one normal distribution, fitted in closed form",
    ),
    "mixture": Entry(
        "mixtures.mixture",
        "Mixture",
        "MixtureConfig",
        "Dempster 1977",
        about="a weighted sum of Gaussians or of Bernoulli distributions, fitted by EM",
    ),
    "kde": Entry(
        "mixtures.kde",
        "KDE",
        "KDEConfig",
        "Parzen 1962",
        about="a kernel around each training example: it remembers, and learns one width",
    ),
    "nice": Entry(
        "flows.nice",
        "NICE",
        "NICEConfig",
        "arXiv:1410.8516",
        about="a flow of additive couplings",
    ),
    "realnvp": Entry(
        "flows.realnvp",
        "RealNVP",
        "RealNVPConfig",
        "arXiv:1605.08803",
        about="a flow of affine couplings at several scales",
    ),
    "glow": Entry(
        "flows.glow",
        "Glow",
        "GlowConfig",
        "arXiv:1807.03039",
        about="a flow of couplings and invertible 1x1 convolutions",
    ),
    "maf": Entry(
        "flows.maf",
        "MAF",
        "MAFConfig",
        "arXiv:1705.07057",
        about="a flow of masked networks: each number is moved by the earlier ones",
    ),
    "fvsbn": Entry(
        "autoregressive.fvsbn",
        "FVSBN",
        "FVSBNConfig",
        "Neal 1992",
        about="each pixel by a logistic regression on the earlier ones",
    ),
    "nade": Entry(
        "autoregressive.nade",
        "NADE",
        "NADEConfig",
        "arXiv:1605.02226",
        about="each pixel by a network on the earlier ones, which shares its weights",
    ),
    "made": Entry(
        "autoregressive.made",
        "MADE",
        "MADEConfig",
        "arXiv:1502.03509",
        about="an autoencoder with masks: each pixel sees only the earlier ones",
    ),
    "pixelcnn": Entry(
        "autoregressive.pixelcnn",
        "PixelCNN",
        "PixelCNNConfig",
        "arXiv:1601.06759",
        about="each pixel by masked convolutions over the earlier ones",
    ),
    "multiscale-pixelcnn": Entry(
        "autoregressive.multiscale",
        "MultiScalePixelCNN",
        "MultiScaleConfig",
        "arXiv:1601.06759",
        about="pixels of a coarse grid first, then those between",
    ),
    "gated-pixelcnn": Entry(
        "autoregressive.gated_pixelcnn",
        "GatedPixelCNN",
        "GatedPixelCNNConfig",
        "arXiv:1606.05328",
        about="a PixelCNN with gates and without a blind spot",
    ),
    "pixelcnn++": Entry(
        "autoregressive.pixelcnnpp",
        "PixelCNNPP",
        "PixelCNNPPConfig",
        "arXiv:1701.05517",
        about="a gated PixelCNN with a mixture of logistic distributions",
    ),
    "row-lstm": Entry(
        "autoregressive.pixelrnn",
        "RowLSTM",
        "RowLSTMConfig",
        "arXiv:1601.06759",
        about="each pixel by an LSTM over rows",
    ),
    "diagonal-bilstm": Entry(
        "autoregressive.pixelrnn",
        "DiagonalBiLSTM",
        "PixelRNNConfig",
        "arXiv:1601.06759",
        about="each pixel by LSTMs along the diagonals: it sees all earlier ones",
    ),
    "image-transformer": Entry(
        "autoregressive.transformer",
        "ImageTransformer",
        "ImageTransformerConfig",
        "arXiv:1802.05751",
        about="each pixel by attention to all earlier ones",
    ),
}


def models() -> Mapping[str, Listed]:
    """Every model by name, those of plug-ins too."""
    plugins.load()
    return MODELS


def entry(name: str) -> Listed:
    """The entry of model `name`; raises PthetaError naming the nearest one.

    MODULE:CLASS names a class of a module that the user has named, for which `ptheta.plugins` says
    how.
    """
    found = models().get(name) or _of_named_module(name)
    if found is None:
        raise unknown("model", name, MODELS)
    return found


def known(name: str) -> bool:
    """Whether there is a model of this name."""
    return name in models() or _of_named_module(name) is not None


def _of_named_module(name: str) -> Listed | None:
    """The class of that name in a module that the user has named; nothing is imported."""
    module, _, path = name.partition(":")
    if not path or module not in plugins.named() or module not in sys.modules:
        return None
    from ptheta.models.own import is_model, registered

    cls: object = sys.modules[module]
    for part in path.split("."):
        if not isinstance(cls, type | ModuleType):
            return None
        cls = vars(cls).get(part)
    if not is_model(cls) or cls.__module__ != module:
        return None
    return registered(cls, name)
