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
        about="a generator against a discriminator; losses, penalties and networks are options",
    ),
    "dcgan": gan("dcgan", "arXiv:1511.06434", about="a convolutional GAN"),
    "lsgan": gan(
        "lsgan",
        "arXiv:1611.04076",
        about="a GAN with a least-squares loss instead of the logarithm",
    ),
    "wgan": gan(
        "wgan",
        "arXiv:1701.07875",
        about="a Wasserstein GAN with weight clipping of the critic",
    ),
    "wgan-gp": gan(
        "wgan-gp",
        "arXiv:1704.00028",
        about="a Wasserstein GAN with a gradient penalty",
    ),
    "dragan": gan(
        "dragan", "arXiv:1705.07215", about="a GAN with a gradient penalty around real images"
    ),
    "began": gan(
        "began",
        "arXiv:1703.10717",
        about="a GAN with an autoencoder as discriminator, kept in balance",
    ),
    "sngan": gan(
        "sngan", "arXiv:1802.05957", about="a GAN with spectral normalisation and hinge loss"
    ),
    "r3gan": gan(
        "r3gan",
        "arXiv:2501.05441",
        about="a relativistic GAN with gradient penalties on real and generated images",
    ),
    "cgan": gan("cgan", "arXiv:1411.1784", about="a GAN that gives the label to both networks"),
    "acgan": gan(
        "acgan",
        "arXiv:1610.09585",
        about="a label-conditional GAN with an auxiliary classifier in the discriminator",
    ),
    "projection-gan": gan(
        "projection-gan",
        "arXiv:1802.05637",
        about="a label-conditional GAN with a projection discriminator",
    ),
    "progressive-gan": gan(
        "progressive-gan",
        "arXiv:1710.10196",
        about="a GAN with networks that grow from small to large images",
    ),
    "infogan": Entry(
        "adversarial.infogan",
        "InfoGAN",
        "InfoGANConfig",
        "arXiv:1606.03657",
        about="a GAN with a code (category and numbers) that is predicted from the image",
    ),
    "vae": Entry(
        "variational.vae",
        "VAE",
        "VAEConfig",
        "arXiv:1312.6114",
        about="an encoder and a decoder trained on a lower bound of the likelihood",
    ),
    "iwae": Entry(
        "variational.iwae",
        "IWAE",
        "IWAEConfig",
        "arXiv:1509.00519",
        about="a VAE trained on a tighter bound, with several codes per example",
    ),
    "cvae": Entry(
        "variational.cvae",
        "CVAE",
        "CVAEConfig",
        "arXiv:1406.5298",
        about="a VAE conditioned on labels, attributes or another condition",
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
        about="a VAE with an implicit posterior: a network that transforms noise",
    ),
    "ae": Entry(
        "autoencoders.ae",
        "AE",
        "AEConfig",
        "Hinton 2006",
        about="an encoder and a decoder trained to reconstruct examples; no density",
    ),
    "dae": Entry(
        "autoencoders.dae",
        "DAE",
        "DAEConfig",
        "Vincent 2010",
        about="an autoencoder trained to reconstruct clean examples from corrupted ones",
    ),
    "gsn": Entry(
        "autoencoders.gsn",
        "GSN",
        "GSNConfig",
        "arXiv:1306.1091",
        about="a denoising autoencoder with a probabilistic output, sampled by its Markov chain",
    ),
    "aae": Entry(
        "hybrid.aae",
        "AAE",
        "AAEConfig",
        "arXiv:1511.05644",
        about="an autoencoder with codes matched to the prior by a discriminator",
    ),
    "vae-gan": Entry(
        "hybrid.vae_gan",
        "VAEGAN",
        "VAEGANConfig",
        "arXiv:1512.09300",
        about="a VAE with the reconstruction error measured in discriminator features",
    ),
    "alpha-gan": Entry(
        "hybrid.alpha_gan",
        "AlphaGAN",
        "AlphaGANConfig",
        "arXiv:1706.04987",
        about="a VAE with one discriminator for examples and one for codes",
    ),
    "gmmn": Entry(
        "matching.gmmn",
        "GMMN",
        "GMMNConfig",
        "arXiv:1502.02761",
        about="a generator trained without a discriminator, to match the data by a kernel (MMD)",
    ),
    "wae-mmd": Entry(
        "matching.wae",
        "WAE",
        "WAEConfig",
        "arXiv:1711.01558",
        about="an autoencoder with codes matched to the prior by a kernel (MMD)",
    ),
    "pix2pix": Entry(
        "translation.pix2pix",
        "Pix2Pix",
        "Pix2PixConfig",
        "arXiv:1611.07004",
        about="image-to-image translation learned from pairs",
    ),
    "bicycle-gan": Entry(
        "translation.bicycle_gan",
        "BicycleGAN",
        "BicycleGANConfig",
        "arXiv:1711.11586",
        about="image-to-image translation learned from pairs; several outputs per input",
    ),
    "cyclegan": Entry(
        "translation.cyclegan",
        "CycleGAN",
        "CycleGANConfig",
        "arXiv:1703.10593",
        about="translation between image domains, learned without pairs",
    ),
    "context-gan": Entry(
        "translation.context_gan",
        "ContextGAN",
        "ContextGANConfig",
        "arXiv:1803.07422",
        about="inpainting of images with any part missing",
    ),
    "text-gan": Entry(
        "text.text_gan",
        "TextGAN",
        "TextGANConfig",
        "arXiv:1605.05396",
        about="caption to image, with mismatched captions shown to the discriminator",
    ),
    "stackgan": Entry(
        "text.stackgan",
        "StackGAN",
        "StackGANConfig",
        "arXiv:1612.03242",
        about="caption to small image, then both to a large image",
    ),
    "rbm": Entry(
        "energy.rbm",
        "RBM",
        "RBMConfig",
        "Hinton 2002",
        about="visible and hidden units; each layer is independent given the other",
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
        about="a mixture of Gaussians or of Bernoulli distributions, fitted by EM",
    ),
    "kde": Entry(
        "mixtures.kde",
        "KDE",
        "KDEConfig",
        "Parzen 1962",
        about="a kernel around each training example; only the width is learned",
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
        about="a flow of masked networks: each dimension is transformed given the earlier ones",
    ),
    "ddpm": Entry(
        "diffusion.ddpm",
        "DDPM",
        "DDPMConfig",
        "arXiv:2006.11239",
        about="a chain from noise to an example, whose steps a network has learned to take",
    ),
    "flow-matching": Entry(
        "diffusion.flow_matching",
        "FlowMatching",
        "FlowMatchingConfig",
        "arXiv:2210.02747",
        about="an ODE that carries noise to examples, whose velocity a network has learned",
    ),
    "fvsbn": Entry(
        "autoregressive.fvsbn",
        "FVSBN",
        "FVSBNConfig",
        "Neal 1992",
        about="each pixel by logistic regression on the earlier ones",
    ),
    "nade": Entry(
        "autoregressive.nade",
        "NADE",
        "NADEConfig",
        "arXiv:1605.02226",
        about="each pixel by a network on the earlier ones, with shared weights",
    ),
    "made": Entry(
        "autoregressive.made",
        "MADE",
        "MADEConfig",
        "arXiv:1502.03509",
        about="a masked autoencoder: each pixel depends only on the earlier ones",
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
        about="pixels of a coarse grid first, then those in between",
    ),
    "gated-pixelcnn": Entry(
        "autoregressive.gated_pixelcnn",
        "GatedPixelCNN",
        "GatedPixelCNNConfig",
        "arXiv:1606.05328",
        about="a PixelCNN with gated activations and without a blind spot",
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
        about="each pixel by LSTMs along the diagonals, which see all earlier ones",
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
    """Every model by name, including models of plug-ins."""
    plugins.load()
    return MODELS


def entry(name: str) -> Listed:
    """The registry entry of a model.

    Args:
        name: a registered name, or MODULE:CLASS for a class in a module that the user has named
            (see `ptheta.plugins`).

    Raises:
        PthetaError: for an unknown name; the message suggests the nearest one.
    """
    found = models().get(name) or _of_named_module(name)
    if found is None:
        raise unknown("model", name, MODELS)
    return found


def known(name: str) -> bool:
    """Whether there is a model of this name."""
    return name in models() or _of_named_module(name) is not None


def _of_named_module(name: str) -> Listed | None:
    """The class MODULE:CLASS if the user has named that module; imports nothing."""
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
