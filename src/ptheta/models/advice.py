r"""Per model: the objective or density as a formula, when to use the model, and when not.

Facts that the code knows (data types, capabilities, recipes) are not repeated here. `ptheta models
NAME` and the model pages show both. Fields that a model leaves empty are taken from its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Advice:
    """formula: in LaTeX; use: when to use the model, avoid: when not to, in whole sentences"""

    formula: str = ""
    use: str = ""
    avoid: str = ""


def advice(model: str, family: str) -> Advice:
    """The advice on a model, completed from its family; empty for models of plug-ins."""
    own, shared = OF_MODELS.get(model, Advice()), OF_FAMILIES.get(family, Advice())
    return Advice(**{f.name: vars(own)[f.name] or vars(shared)[f.name] for f in fields(Advice)})


OF_FAMILIES: Mapping[str, Advice] = {
    "adversarial": Advice(
        r"\min_G \max_D \; \mathbb{E}_x \log D(x) + \mathbb{E}_z \log\left(1 - D(G(z))\right)",
        "You need sharp samples, drawn quickly in one forward pass.",
        "You need p(x) of an example, or every mode has to be covered: there is no likelihood, "
        "and dropped modes show only in recall and coverage.",
    ),
    "variational": Advice(
        r"\log p(x) \ge \mathbb{E}_{q(z|x)} \log p(x|z) - "
        r"\mathrm{KL}\left(q(z|x) \,\|\, p(z)\right)",
        "You need latent codes, samples and a likelihood bound from one model, after a short "
        "training.",
        "Images have to be sharp or the likelihood exact: decoder means are blurred, pixels "
        "sampled independently are noisy, and the reported value is a bound.",
    ),
    "autoencoders": Advice(
        r"\min_{f, g} \; \mathbb{E}_x \, d\left(x, g(f(x))\right)",
        "You need codes from which examples can be reconstructed.",
        "Samples or likelihoods come first: the model defines no density.",
    ),
    "hybrid": Advice(
        "",
        "You need an encoder together with a generator, and images less blurred than those of a "
        "VAE.",
        "You need a likelihood: none of the loss terms bounds it.",
    ),
    "matching": Advice(
        r"\mathrm{MMD}^2 = \mathbb{E}\, k(x, x') + \mathbb{E}\, k(y, y') - "
        r"2\, \mathbb{E}\, k(x, y)",
        "You need a generator without the unstable game against a discriminator.",
        "Batches have to be small: a kernel estimate of the distance between two distributions is "
        "only as good as the batch is large.",
    ),
    "translation": Advice(
        r"y = G(x)",
        "Images have to be translated to another domain.",
        "Images have to be generated from noise alone: the model needs an input image.",
    ),
    "text": Advice(
        r"x = G(z, \text{caption})",
        "Images have to be generated from captions.",
        "Captions are open-vocabulary text: the model knows only the words of its training data.",
    ),
    "energy": Advice(
        r"p(x) = \frac{\exp(-E(x))}{Z}",
        "You want to learn an unnormalised density and sample it by a Markov chain.",
        "Samples have to be fast or likelihoods exact.",
    ),
    "mixtures": Advice(
        r"p(x) = \sum_k w_k \, p_k(x)",
        "You need a baseline that is fitted in seconds and has no learning rate.",
        "Images of more than a few pixels have to look real.",
    ),
    "flows": Advice(
        r"\log p(v) = \log p_z(f(v)) + \log \left| \det \frac{\partial f(v)}{\partial v} \right|",
        "You need a density, an invertible code and samples from one model.",
        "You need low-dimensional codes or a short training: the code has as many dimensions as "
        "the example, and images take long to learn.",
    ),
    "diffusion": Advice(
        r"\min_\theta \; \mathbb{E}_{s, x, \epsilon} \, w_s \left\| \hat{x}_\theta(\alpha_s x + "
        r"\sigma_s \epsilon, s) - x \right\|^2",
        "Samples have to be both sharp and varied, training steady, or one model is to complete "
        "images and be steered by labels or captions as well.",
        "Samples have to be drawn quickly: each takes tens of passes of the network.",
    ),
    "autoregressive": Advice(
        r"p(x) = \prod_i p(x_i \mid x_{<i})",
        "You need an exact likelihood, and with it compression, inpainting and classification.",
        "You need many images quickly, or codes: sampling goes pixel by pixel, and there is no "
        "latent code.",
    ),
}

OF_MODELS: Mapping[str, Advice] = {
    "gan": Advice(
        "",
        "You want to combine and compare losses, penalties, networks and training tricks, or to "
        "sample points from a distribution with many modes.",
    ),
    "dcgan": Advice(
        "",
        "You want a first GAN for images, with the settings most papers compare with.",
    ),
    "lsgan": Advice(
        r"\min_D \mathbb{E}_x (D(x) - 1)^2 + \mathbb{E}_z D(G(z))^2, \quad "
        r"\min_G \mathbb{E}_z (D(G(z)) - 1)^2",
        "The logarithmic loss saturates: the squared error also has a gradient for samples that "
        "the discriminator rates well.",
    ),
    "wgan": Advice(
        r"\min_G \max_{|w_i| \le c} \; \mathbb{E}_x D_w(x) - \mathbb{E}_z D_w(G(z))",
        "You want to study the Wasserstein GAN in its original form.",
        "You need the best samples: weight clipping limits the critic, and `wgan-gp` learns more "
        "with the same five critic steps.",
    ),
    "wgan-gp": Advice(
        r"\min_G \max_D \; \mathbb{E}_x D(x) - \mathbb{E}_z D(G(z)) - \lambda \, "
        r"\mathbb{E}_{\hat{x}} \left( \| \nabla D(\hat{x}) \| - 1 \right)^2",
        "You need stable training and a loss that falls as samples improve.",
        "Time is short: five critic steps and a second-order gradient make each generator step "
        "expensive. It has no likelihood either.",
    ),
    "dragan": Advice(
        r"\lambda \, \mathbb{E}_{x, \delta} \left( \| \nabla D(x + \delta) \| - 1 \right)^2",
        "A GAN loss collapses, and one gradient penalty near the data may stabilise it.",
    ),
    "began": Advice(
        r"L(v) = \| v - D(v) \|, \quad L_D = L(x) - k_t L(G(z)), \quad "
        r"k_{t+1} = k_t + \lambda \left( \gamma L(x) - L(G(z)) \right)",
        "You want to trade variety for quality by one number, gamma.",
        "Variety matters most: the balance is reached by dropping modes. It has no likelihood.",
    ),
    "sngan": Advice(
        r"\min_D \mathbb{E}_x \max(0, 1 - D(x)) + \mathbb{E}_z \max(0, 1 + D(G(z))), \quad "
        r"W \to W / \sigma(W)",
        "You want to train residual networks stably without second-order gradients.",
        "Images are small and time is short: the residual networks are larger than those of "
        "`dcgan`. It has no likelihood.",
    ),
    "r3gan": Advice(
        r"\mathbb{E}_{x, z} \log\left(1 + e^{D(G(z)) - D(x)}\right) + \frac{\gamma}{2} "
        r"\mathbb{E}_x \| \nabla D(x) \|^2 + \frac{\gamma}{2} \mathbb{E}_z \| \nabla D(G(z)) \|^2",
        "Modes must not be dropped, and you want a loss with proven local convergence.",
        "Time is short: the two gradient penalties about double the cost of each step. It has no "
        "likelihood.",
    ),
    "cgan": Advice(
        r"\min_G \max_D \; \mathbb{E}_{x, y} \log D(x, y) + \mathbb{E}_{z, y} \log\left(1 - "
        r"D(G(z, y), y)\right)",
        "You need samples of a given class or condition.",
        "The data have no labels: use `gan`, or `infogan`, which discovers classes without labels.",
    ),
    "acgan": Advice(
        r"\max_D \; L_{\mathrm{real}} + \mathbb{E} \log P(y \mid x), \quad "
        r"\max_G \; -L_{\mathrm{real}} + \mathbb{E} \log P(y \mid G(z, y))",
        "Samples have to show their class clearly.",
        "Classes overlap or are many: it prefers samples that the classifier is sure of, and "
        "loses variety within a class.",
    ),
    "projection-gan": Advice(
        r"D(x, y) = v_y^\top \varphi(x) + \psi(\varphi(x))",
        "There are many classes, and you want the discriminator to use labels as theory derives "
        "it.",
        "The data have no labels, or time is short: its networks are those of `sngan`.",
    ),
    "progressive-gan": Advice(
        r"x_\alpha = (1 - \alpha) \, \mathrm{up}(x_{\mathrm{small}}) + "
        r"\alpha \, x_{\mathrm{large}}",
        "Images have 64 pixels or more and are to be learned from coarse to fine.",
        "Images have 32 pixels or fewer: growing gains little there.",
    ),
    "infogan": Advice(
        r"\min_{G, Q} \max_D \; V(D, G) - \lambda \left( \mathbb{E} \log Q(c \mid G(z, c)) + H(c) "
        r"\right)",
        "You want to discover classes and continuous factors without labels, and to control them.",
        "Labels are known (use `cgan`), or the same factors have to be found every time: seeds "
        "differ.",
    ),
    "vae": Advice(),
    "iwae": Advice(
        r"\log p(x) \ge \mathbb{E} \log \frac{1}{k} \sum_{i=1}^{k} \frac{p(x, z_i)}{q(z_i|x)}",
        "You need a tighter bound than that of a VAE, or tables with missing values are to be "
        "learned (recipe `table`).",
        "The encoder itself matters most: with many samples per example its gradient gets weak. A "
        "step costs k decoder passes.",
    ),
    "cvae": Advice(
        r"\log p(x|y) \ge \mathbb{E}_{q(z|x,y)} \log p(x|z,y) - \mathrm{KL}\left(q(z|x,y) \,\|\, "
        r"p(z)\right)",
        "Labels or attributes are known, and codes are to hold the rest: style.",
        "There are no conditions, or images have to be sharp.",
    ),
    "beta-tcvae": Advice(
        r"\log p(x|z) - I(z; n) - \beta \, \mathrm{KL}\left(q(z) \,\|\, \prod_j q(z_j)\right) - "
        r"\sum_j \mathrm{KL}\left(q(z_j) \,\|\, p(z_j)\right)",
        "Each dimension of the code is to stand for one factor of the data, without labels.",
        "Likelihood or sharp images matter, or the factors are to be certain: seeds differ, and no "
        "method finds factors without labels for sure.",
    ),
    "ladder-vae": Advice(
        r"p(x|z_1) \prod_i p(z_i|z_{i+1}), \quad "
        r"q(z_i|z_{i+1}, x) \propto \mathcal{N}(z_i; h_i(x)) \, p(z_i|z_{i+1})",
        "A hierarchy of codes is wanted, and to see which of its layers are used.",
        "One layer is enough: `vae` is quicker. Upper layers may still collapse: watch "
        "`ptheta latents`.",
    ),
    "vq-vae": Advice(
        r"\min \; -\log p(x \mid e_k) + \beta \left\| z - \mathrm{sg}(e_k) \right\|^2, \quad "
        r"k = \arg\min_j \| z - e_j \|",
        "Sharp images are wanted of a small grid of discrete codes, which an autoregressive model "
        "then learns in a fraction of the time that pixels take.",
        "One training has to be enough: it draws nothing before `ptheta fit RUN --model pixelcnn`. "
        "For codes that are numbers take `vae`.",
    ),
    "avb": Advice(
        r"\log p(x) \ge \mathbb{E}_{q} \left[ \log p(x|z) - T^*(x, z) + \log \frac{p(z)}{r(z|x)} "
        r"\right], \quad T^* = \log \frac{q(z|x)}{r(z|x)}",
        "Posteriors are skewed or multimodal, and a Gaussian does not fit them.",
        "The bound has to be reliable during training: it depends on a discriminator. `vae` is "
        "faster and more stable.",
    ),
    "ae": Advice(
        "",
        "You need codes from which examples can be reconstructed; the recipe `pca` is the "
        "baseline of all autoencoders.",
        "You need samples or likelihoods: it has no density, and samples only after `ptheta fit`.",
    ),
    "dae": Advice(
        r"\min_{f, g} \; \mathbb{E}_x \mathbb{E}_{\tilde{x} \sim C(\tilde{x}|x)} \, d\left(x, "
        r"g(f(\tilde{x}))\right)",
        "You want to denoise images that have the kind of noise it was trained on.",
        "You need samples: its Markov chain stays near the means; use `gsn`.",
    ),
    "gsn": Advice(
        r"\tilde{x} \sim C(\tilde{x} \mid x_t), \quad x_{t+1} \sim P(x \mid \tilde{x})",
        "You want to study a Markov chain that needs neither normalisation nor an energy.",
        "You need the best samples or any likelihood: P is independent over pixels.",
    ),
    "aae": Advice(
        r"\min_{f, g} \; \mathbb{E}_x \, d(x, g(f(x))) \quad \text{where D cannot tell } f(x) "
        r"\text{ from } z \sim p(z)",
        "You need codes with any prior that can be sampled; its density is not needed.",
    ),
    "vae-gan": Advice(
        r"\mathrm{KL}\left(q(z|x) \,\|\, p(z)\right) + \frac{1}{2} \| f_D(x) - f_D(g(z)) \|^2 + "
        r"L_{\mathrm{GAN}}",
        "Reconstructions have to look right rather than match pixel by pixel.",
        "You need a low pixel error or a likelihood.",
    ),
    "alpha-gan": Advice(
        r"\min_{f, g} \; \mathbb{E} \, \lambda \| x - g(f(x)) \|_1 + \log \frac{1 - D(g(f(x)))}"
        r"{D(g(f(x)))} + \log \frac{1 - C(f(x))}{C(f(x))}",
        "You want discriminators to judge reconstructions, samples and codes.",
        "Training has to be simple: two discriminators and two networks have to stay in balance. "
        "It has no likelihood.",
    ),
    "gmmn": Advice(
        r"\min_G \; \mathrm{MMD}^2 = \mathbb{E}\, k(x, x') + \mathbb{E}\, k(G(z), G(z')) - 2\, "
        r"\mathbb{E}\, k(x, G(z))",
    ),
    "wae-mmd": Advice(
        r"\min_{f, g} \; \mathbb{E}_x \| x - g(f(x)) \|^2 + \lambda \, \mathrm{MMD}^2\left(q(z), "
        r"p(z)\right)",
        "You need low-dimensional codes that keep more of an example than those of a VAE.",
        "Codes have 20 dimensions or more: a kernel then needs batches of many hundreds. There is "
        "no likelihood.",
    ),
    "ddpm": Advice(
        r"-\log p(x) \le \mathrm{KL}\left(q(x_T|x) \,\|\, p(x_T)\right) + \sum_{t=2}^{T} "
        r"\mathrm{KL}\left(q(x_{t-1}|x_t, x) \,\|\, p(x_{t-1}|x_t)\right) - \log p(x|x_1)",
    ),
    "flow-matching": Advice(
        r"\min_\theta \; \mathbb{E}_{t, x, \epsilon} \left\| v_\theta(x_t, t) - (x - \epsilon) "
        r"\right\|^2, \quad x_t = t x + (1 - t) \epsilon",
        "A density of points or of few dimensions is wanted together with samples in ten to "
        "twenty passes of the network, or codes that lose nothing.",
        "The likelihood has to be exact: that of an ODE is an estimate, and takes hundreds of "
        "passes for each example.",
    ),
    "pix2pix": Advice(
        r"\min_G \max_D \; L_{\mathrm{GAN}}(G, D) + \lambda \, \mathbb{E} \, \| y - G(x) \|_1",
        "You have pairs of input and target images, and one output per input is enough.",
        "Inputs have many valid outputs (use `bicycle-gan`), or there are no pairs (use "
        "`cyclegan`).",
    ),
    "bicycle-gan": Advice(
        r"L_{\mathrm{VAE\text{-}GAN}} + L_{\mathrm{GAN}} + \lambda \| y - G(x, E(y)) \|_1 + "
        r"\lambda_z \| z - E(G(x, z)) \|_1 + \lambda_{\mathrm{KL}} \mathrm{KL}",
        "You have pairs, an input has many valid outputs, and you want to sample several of them.",
        "One output per input is enough, or there are no pairs.",
    ),
    "cyclegan": Advice(
        r"L_{\mathrm{GAN}}(G) + L_{\mathrm{GAN}}(F) + \lambda \left( \mathbb{E} \| F(G(x)) - x "
        r"\|_1 + \mathbb{E} \| G(F(y)) - y \|_1 \right)",
        "You have two or more domains without pairs, and shapes stay in place.",
        "You have pairs (use `pix2pix`), or shapes have to change: the output must map back to "
        "the input.",
    ),
    "context-gan": Advice(
        r"\hat{x} = m \odot x + (1 - m) \odot G(m \odot x, m)",
        "You want to fill holes of any position and shape in images, fast and with one result.",
        "You need several completions with their probabilities: use `pixelcnn` or another "
        "autoregressive model.",
    ),
    "text-gan": Advice(
        r"\min_D \; \ell(D(x, t), 1) + \frac{1}{2} \ell(D(x, t'), 0) + \frac{1}{2} \ell(D(G(z, t), "
        r"t), 0)",
        "You want to generate images of 32 to 64 pixels from captions.",
    ),
    "stackgan": Advice(
        r"x_1 = G_1(z, t), \quad x_2 = G_2(x_1, t)",
        "You want to generate images of 64 pixels or more from captions, in two stages.",
        "32 pixels are enough: `text-gan` learns them sooner. It knows only the words of its "
        "training data.",
    ),
    "rbm": Advice(
        r"p(v) = \frac{1}{Z} \sum_h \exp\left(b^\top v + c^\top h + v^\top W h\right)",
        "You want to study energies, Markov chains and estimates of Z, or to learn binary images "
        "in minutes: on binarised MNIST it is strong for its time.",
        "Images have many grey levels or colours, or samples have to be independent: chains mix "
        "slowly.",
    ),
    "gaussian": Advice(
        r"p(x) = \mathcal{N}(x; \mu, \Sigma)",
        "You need the baseline that every other model has to beat, regression imputation of "
        "tables, or removal of Gaussian noise.",
        "Data are multimodal or non-linear: the model has only a mean and a covariance.",
    ),
    "mixture": Advice(
        "",
        "You want to learn tables, points or binary images in seconds, and to get clusters as "
        "well.",
        "Examples have many dependent dimensions: thousands of components are then needed.",
    ),
    "kde": Advice(
        r"p(x) = \frac{1}{N} \sum_{j=1}^{N} k(x; c_j, h)",
        "You want to know what pure memorisation scores, and which metrics fail to notice it.",
        "Data are private or high-dimensional: a sample is a training example plus noise.",
    ),
    "nice": Advice(
        r"y_b = x_b + m(x_a), \quad z = e^{s} \odot y",
        "You want the simplest flow, to see what volume-preserving couplings can do.",
        "You need the best likelihood of a flow: `glow` and `maf` are more expressive with as "
        "many layers.",
    ),
    "realnvp": Advice(
        r"y_b = x_b \odot e^{s(x_a)} + t(x_a)",
        "You need a flow for images that encodes and samples in one pass each.",
    ),
    "glow": Advice(
        r"y = W x, \quad \log \left| \det \frac{\partial y}{\partial x} \right| = h w "
        r"\log | \det W |",
        "You need the best flow for images in this package, with one pass in each direction.",
    ),
    "maf": Advice(
        r"z_d = \left(x_d + t(x_{<d})\right) s(x_{<d})",
        "You need densities of tables and points: it is the most expressive flow in this package.",
        "You need images, or samples quickly: it samples one dimension at a time.",
    ),
    "fvsbn": Advice(
        r"p(x_i = 1 \mid x_{<i}) = \sigma\left(b_i + \sum_{j<i} w_{ij} x_j\right)",
        "You need the baseline of autoregressive models: linear and quickly trained.",
        "Dependence is non-linear, or images are large.",
    ),
    "nade": Advice(
        r"h_i = f\left(c + W_{<i} \, x_{<i}\right), \quad p(x_i \mid x_{<i}) = "
        r"p(x_i; b_i + V_i h_i)",
        "You want to learn small binary images, or tables with missing values, with an exact "
        "likelihood.",
        "Images have colours or more than some thousand values: it does not use the neighbourhood "
        "of pixels.",
    ),
    "made": Advice(
        r"p(x) = \prod_i p(x_i \mid x_{<i}) \quad \text{in one pass of masked layers}",
        "You need an exact likelihood of points, tables or small images quickly.",
        "Images are large or in colour: its layers do not use the neighbourhood of pixels, and it "
        "samples one dimension at a time.",
    ),
    "pixelcnn": Advice(
        "",
        "You need exact likelihoods of images from a small network: compression, inpainting, "
        "surprise maps, classification by Bayes' rule.",
        "You need many images quickly, or codes; its context has a blind spot, which `gated-"
        "pixelcnn` removes.",
    ),
    "multiscale-pixelcnn": Advice(
        r"p(x) = p(x^{(1)}) \prod_s p(x^{(s+1)} \mid x^{(s)})",
        "You want an image to be sampled as a whole before its details, with an exact likelihood.",
    ),
    "gated-pixelcnn": Advice(
        r"y = \tanh(W_f * x) \odot \sigma(W_g * x)",
        "You need the best likelihood that hours on a CPU can give: it is the default choice "
        "among the autoregressive models here.",
    ),
    "pixelcnn++": Advice(
        r"p(x_i) = \sum_k \pi_k \left[ \sigma\left(\frac{x_i + 1/2 - \mu_k}{s_k}\right) - "
        r"\sigma\left(\frac{x_i - 1/2 - \mu_k}{s_k}\right) \right]",
        "Images have 256 levels and colours: a mixture of logistics uses the order of levels.",
        "Images have 2 or 4 levels: use `gated-pixelcnn`. It samples pixel by pixel, and has no "
        "latent code.",
    ),
    "row-lstm": Advice(
        "",
        "You want to compare recurrent layers with convolutions.",
        "Time matters: rows are processed one after the other, also in training.",
    ),
    "diagonal-bilstm": Advice(
        "",
        "You want every layer to see all earlier pixels, as in the paper.",
        "Time matters: it is the slowest of the autoregressive models here to train.",
    ),
    "image-transformer": Advice(
        r"\mathrm{softmax}\left(\frac{Q K^\top}{\sqrt{d}} + M\right) V",
        "You want to learn small images with attention to all earlier pixels.",
        "Images are large: attention is quadratic in the number of pixels.",
    ),
}
