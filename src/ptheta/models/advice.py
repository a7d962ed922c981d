r"""What a model maximises, or is made of, and when it is the one to take.

Facts that the code knows (what a model learns, can do, its recipes) are not here: they are read off
it. `ptheta models NAME` and the pages of the models say both. A model that says nothing of its own
has what its family says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Advice:
    """formula: in LaTeX; use: when to take it, avoid: when not, in whole sentences"""

    formula: str = ""
    use: str = ""
    avoid: str = ""


def advice(model: str, family: str) -> Advice:
    """Of a model, what it leaves open by its family; empty of one that is not of this package."""
    own, shared = OF_MODELS.get(model, Advice()), OF_FAMILIES.get(family, Advice())
    return Advice(**{f.name: vars(own)[f.name] or vars(shared)[f.name] for f in fields(Advice)})


OF_FAMILIES: Mapping[str, Advice] = {
    "adversarial": Advice(
        r"\min_G \max_D \; \mathbb{E}_x \log D(x) + \mathbb{E}_z \log\left(1 - D(G(z))\right)",
        "Samples have to be sharp and quickly drawn, in one pass of a network.",
        "p(x) of an example is wanted, or every mode has to be kept: it has no likelihood, and "
        "what it leaves out is seen by recall and coverage alone.",
    ),
    "variational": Advice(
        r"\log p(x) \ge \mathbb{E}_{q(z|x)} \log p(x|z) - "
        r"\mathrm{KL}\left(q(z|x) \,\|\, p(z)\right)",
        "Codes, samples and a bound of the likelihood are wanted of one model, soon.",
        "Images have to be sharp, or the likelihood exact: a mean image is blurred, pixels drawn "
        "on their own are noisy, and the number is a bound.",
    ),
    "autoencoders": Advice(
        r"\min_{f, g} \; \mathbb{E}_x \, d\left(x, g(f(x))\right)",
        "Codes are wanted from which examples can be rebuilt.",
        "Samples or likelihoods are wanted first: there is no density.",
    ),
    "hybrid": Advice(
        "",
        "An encoder is wanted beside a generator, and images less blurred than those of a VAE.",
        "A likelihood is wanted: none of its terms is a bound of one.",
    ),
    "matching": Advice(
        r"\mathrm{MMD}^2 = \mathbb{E}\, k(x, x') + \mathbb{E}\, k(y, y') - "
        r"2\, \mathbb{E}\, k(x, y)",
        "A generator is wanted without the unsteady game against a discriminator.",
        "Batches have to be small: what a kernel sees of two distributions grows with the batch.",
    ),
    "translation": Advice(
        r"y = G(x)",
        "Images are to be carried over to another domain.",
        "Images are to be drawn from nothing: it is given an image to begin with.",
    ),
    "text": Advice(
        r"x = G(z, \text{caption})",
        "Images are to be drawn of captions.",
        "Captions are free text of an open world: it learns the words of its own data alone.",
    ),
    "energy": Advice(
        r"p(x) = \frac{\exp(-E(x))}{Z}",
        "A density without a normalised form is to be learned and sampled by a chain.",
        "Samples have to be drawn quickly, or likelihoods exactly.",
    ),
    "mixtures": Advice(
        r"p(x) = \sum_k w_k \, p_k(x)",
        "A floor is wanted that is fitted in seconds, without a learning rate.",
        "Images of more than a few pixels have to look real.",
    ),
    "flows": Advice(
        r"\log p(v) = \log p_z(f(v)) + \log \left| \det \frac{\partial f(v)}{\partial v} \right|",
        "A density of numbers, a code that loses nothing and samples are wanted of one model.",
        "The dimension of the code has to be small, or minutes are few: the code is as large as "
        "the example, and images take long to learn.",
    ),
    "autoregressive": Advice(
        r"p(x) = \prod_i p(x_i \mid x_{<i})",
        "An exact likelihood is wanted, and with it compression, completion and classification.",
        "Many images have to be drawn quickly, or codes are wanted: it draws pixel by pixel, and "
        "has no code.",
    ),
}

OF_MODELS: Mapping[str, Advice] = {
    "gan": Advice(
        "",
        "Losses, penalties, networks and tricks are to be combined and compared, or points of "
        "many modes are to be drawn.",
    ),
    "dcgan": Advice(
        "",
        "A first GAN of images is wanted, with the settings that are the usual point of "
        "comparison.",
    ),
    "lsgan": Advice(
        r"\min_D \mathbb{E}_x (D(x) - 1)^2 + \mathbb{E}_z D(G(z))^2, \quad "
        r"\min_G \mathbb{E}_z (D(G(z)) - 1)^2",
        "The logarithm saturates: a square has a gradient also for samples that are rated well.",
    ),
    "wgan": Advice(
        r"\min_G \max_{|w_i| \le c} \; \mathbb{E}_x D_w(x) - \mathbb{E}_z D_w(G(z))",
        "The Wasserstein distance is to be studied in its first form.",
        "The best samples are wanted: clipped weights limit the critic, and `wgan-gp` learns more "
        "with five critic steps as well.",
    ),
    "wgan-gp": Advice(
        r"\min_G \max_D \; \mathbb{E}_x D(x) - \mathbb{E}_z D(G(z)) - \lambda \, "
        r"\mathbb{E}_{\hat{x}} \left( \| \nabla D(\hat{x}) \| - 1 \right)^2",
        "A loss is wanted that falls as samples get better, and training that is steady.",
        "Time is short: five critic steps and a second gradient make each step of the generator "
        "dear. It has no likelihood either.",
    ),
    "dragan": Advice(
        r"\lambda \, \mathbb{E}_{x, \delta} \left( \| \nabla D(x + \delta) \| - 1 \right)^2",
        "A GAN loss collapses, and one penalty near the data is to steady it.",
    ),
    "began": Advice(
        r"L(v) = \| v - D(v) \|, \quad L_D = L(x) - k_t L(G(z)), \quad "
        r"k_{t+1} = k_t + \lambda \left( \gamma L(x) - L(G(z)) \right)",
        "Variety is to be traded for quality by one number, gamma.",
        "Variety matters most: the balance is held by leaving modes out. It has no likelihood.",
    ),
    "sngan": Advice(
        r"\min_D \mathbb{E}_x \max(0, 1 - D(x)) + \mathbb{E}_z \max(0, 1 + D(G(z))), \quad "
        r"W \to W / \sigma(W)",
        "Residual networks are to be trained steadily without a second gradient.",
        "Images are small and minutes few: the residual networks are larger than those of "
        "`dcgan`. It has no likelihood.",
    ),
    "r3gan": Advice(
        r"\mathbb{E}_{x, z} \log\left(1 + e^{D(G(z)) - D(x)}\right) + \frac{\gamma}{2} "
        r"\mathbb{E}_x \| \nabla D(x) \|^2 + \frac{\gamma}{2} \mathbb{E}_z \| \nabla D(G(z)) \|^2",
        "Modes must not be dropped, and a loss with a proof of local convergence is wanted.",
        "Time is short: two gradient penalties in every step cost about as much as the step. It "
        "has no likelihood.",
    ),
    "cgan": Advice(
        r"\min_G \max_D \; \mathbb{E}_{x, y} \log D(x, y) + \mathbb{E}_{z, y} \log\left(1 - "
        r"D(G(z, y), y)\right)",
        "Samples of a class or a condition that is named are wanted.",
        "The data have no labels: take `gan`, or `infogan`, which finds classes by itself.",
    ),
    "acgan": Advice(
        r"\max_D \; L_{\mathrm{real}} + \mathbb{E} \log P(y \mid x), \quad "
        r"\max_G \; -L_{\mathrm{real}} + \mathbb{E} \log P(y \mid G(z, y))",
        "Samples have to show their class clearly.",
        "Classes overlap or are many: it draws what the classifier is sure of, and loses variety "
        "within a class.",
    ),
    "projection-gan": Advice(
        r"D(x, y) = v_y^\top \varphi(x) + \psi(\varphi(x))",
        "Classes are many, and labels are to enter the discriminator as theory says.",
        "The data have no labels, or minutes are few: its networks are those of `sngan`.",
    ),
    "progressive-gan": Advice(
        r"x_\alpha = (1 - \alpha) \, \mathrm{up}(x_{\mathrm{small}}) + "
        r"\alpha \, x_{\mathrm{large}}",
        "Images of 64 pixels and more are to be learned, small versions of them first.",
        "Images have 32 pixels or fewer: growing gains little there.",
    ),
    "infogan": Advice(
        r"\min_{G, Q} \max_D \; V(D, G) - \lambda \left( \mathbb{E} \log Q(c \mid G(z, c)) + H(c) "
        r"\right)",
        "Classes and continuous factors are to be found without labels, and set by hand.",
        "Labels are known (take `cgan`), or certainty is wanted about which factors are found: "
        "seeds differ.",
    ),
    "vae": Advice(),
    "iwae": Advice(
        r"\log p(x) \ge \mathbb{E} \log \frac{1}{k} \sum_{i=1}^{k} \frac{p(x, z_i)}{q(z_i|x)}",
        "A tighter bound than that of a VAE is wanted, or tables with gaps are to be learned "
        "(recipe `table`).",
        "The encoder itself matters most: with many codes of an example its gradient gets weak. A "
        "step costs k decoders.",
    ),
    "cvae": Advice(
        r"\log p(x|y) \ge \mathbb{E}_{q(z|x,y)} \log p(x|z,y) - \mathrm{KL}\left(q(z|x,y) \,\|\, "
        r"p(z)\right)",
        "Labels or attributes are known, and codes are to hold what is left: style.",
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
        "Posteriors are skewed, or of several modes, and a Gaussian does not fit them.",
        "The bound has to be certain during training: it rests on a discriminator. `vae` is "
        "quicker and steadier.",
    ),
    "ae": Advice(
        "",
        "Codes are wanted from which examples can be rebuilt; with the recipe `pca` the floor of "
        "all of them.",
        "Samples or likelihoods are wanted: it has no density, and draws only after `ptheta fit`.",
    ),
    "dae": Advice(
        r"\min_{f, g} \; \mathbb{E}_x \mathbb{E}_{\tilde{x} \sim C(\tilde{x}|x)} \, d\left(x, "
        r"g(f(\tilde{x}))\right)",
        "Damaged images are to be repaired, of noise like that it was trained on.",
        "Samples are wanted: its chain keeps to the means; take `gsn`.",
    ),
    "gsn": Advice(
        r"\tilde{x} \sim C(\tilde{x} \mid x_t), \quad x_{t+1} \sim P(x \mid \tilde{x})",
        "A chain is to be watched and studied that needs no normalisation and no energy.",
        "The best samples, or any likelihood, are wanted: P is independent over pixels.",
    ),
    "aae": Advice(
        r"\min_{f, g} \; \mathbb{E}_x \, d(x, g(f(x))) \quad \text{where D cannot tell } f(x) "
        r"\text{ from } z \sim p(z)",
        "Codes of any prior that can be sampled are wanted, without its density.",
    ),
    "vae-gan": Advice(
        r"\mathrm{KL}\left(q(z|x) \,\|\, p(z)\right) + \frac{1}{2} \| f_D(x) - f_D(g(z)) \|^2 + "
        r"L_{\mathrm{GAN}}",
        "Reconstructions have to look right rather than match pixel by pixel.",
        "The error of pixels is what counts, or a likelihood is wanted.",
    ),
    "alpha-gan": Advice(
        r"\min_{f, g} \; \mathbb{E} \, \lambda \| x - g(f(x)) \|_1 + \log \frac{1 - D(g(f(x)))}"
        r"{D(g(f(x)))} + \log \frac{1 - C(f(x))}{C(f(x))}",
        "Reconstructions, samples and codes are all to be judged by discriminators.",
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
        "Codes of few dimensions are wanted that keep more of an example than those of a VAE.",
        "Codes have 20 dimensions or more: a kernel then needs batches of many hundreds. There is "
        "no likelihood.",
    ),
    "pix2pix": Advice(
        r"\min_G \max_D \; L_{\mathrm{GAN}}(G, D) + \lambda \, \mathbb{E} \, \| y - G(x) \|_1",
        "Pairs of an input and its target are there, and one answer to an input will do.",
        "Inputs have many right answers (take `bicycle-gan`), or there are no pairs (take "
        "`cyclegan`).",
    ),
    "bicycle-gan": Advice(
        r"L_{\mathrm{VAE\text{-}GAN}} + L_{\mathrm{GAN}} + \lambda \| y - G(x, E(y)) \|_1 + "
        r"\lambda_z \| z - E(G(x, z)) \|_1 + \lambda_{\mathrm{KL}} \mathrm{KL}",
        "Pairs are there, and an input has many right answers, of which several are to be drawn.",
        "One answer will do, or there are no pairs.",
    ),
    "cyclegan": Advice(
        r"L_{\mathrm{GAN}}(G) + L_{\mathrm{GAN}}(F) + \lambda \left( \mathbb{E} \| F(G(x)) - x "
        r"\|_1 + \mathbb{E} \| G(F(y)) - y \|_1 \right)",
        "Two or more domains are there without pairs, and shapes stay where they are.",
        "Pairs are there (take `pix2pix`), or shapes have to change: what is made must lead back "
        "to the input.",
    ),
    "context-gan": Advice(
        r"\hat{x} = m \odot x + (1 - m) \odot G(m \odot x, m)",
        "Holes of any place and shape in images are to be filled, quickly and in one way.",
        "Several fillings are wanted, with their probabilities: take `pixelcnn` or another "
        "autoregressive model.",
    ),
    "text-gan": Advice(
        r"\min_D \; \ell(D(x, t), 1) + \frac{1}{2} \ell(D(x, t'), 0) + \frac{1}{2} \ell(D(G(z, t), "
        r"t), 0)",
        "Images of 32 to 64 pixels are to be drawn of captions.",
    ),
    "stackgan": Advice(
        r"x_1 = G_1(z, t), \quad x_2 = G_2(x_1, t)",
        "Images of captions are to have 64 pixels or more, in two stages.",
        "32 pixels will do: `text-gan` learns them sooner. It learns the words of its own data "
        "alone.",
    ),
    "rbm": Advice(
        r"p(v) = \frac{1}{Z} \sum_h \exp\left(b^\top v + c^\top h + v^\top W h\right)",
        "Energies, chains and estimates of Z are to be studied, or binary images learned in "
        "minutes: on binarised MNIST it is strong for its time.",
        "Images have many grey levels or colours, or samples have to be independent: chains mix "
        "slowly.",
    ),
    "gaussian": Advice(
        r"p(x) = \mathcal{N}(x; \mu, \Sigma)",
        "The floor that every other model has to beat is wanted, or gaps of tables are to be "
        "filled by regression, or Gaussian noise removed.",
        "Data have more than one mode, or bend: it holds two moments and nothing else.",
    ),
    "mixture": Advice(
        "",
        "Tables, points or binary images are to be learned in seconds, with clusters beside them.",
        "Examples have many dimensions that depend on one another: components are then needed "
        "in thousands.",
    ),
    "kde": Advice(
        r"p(x) = \frac{1}{N} \sum_{j=1}^{N} k(x; c_j, h)",
        "It is to be seen what remembering alone is worth, beside numbers that fall for it.",
        "Data are private, or have many dimensions: a sample is a training example with noise.",
    ),
    "nice": Advice(
        r"y_b = x_b + m(x_a), \quad z = e^{s} \odot y",
        "The simplest flow is wanted, to see what couplings that move no volume can do.",
        "The best likelihood of a flow is wanted: `glow` and `maf` bend more in as many layers.",
    ),
    "realnvp": Advice(
        r"y_b = x_b \odot e^{s(x_a)} + t(x_a)",
        "A flow of images is wanted that codes and draws in one pass each.",
    ),
    "glow": Advice(
        r"y = W x, \quad \log \left| \det \frac{\partial y}{\partial x} \right| = h w "
        r"\log | \det W |",
        "The best flow of images here is wanted, in both directions in one pass.",
    ),
    "maf": Advice(
        r"z_d = \left(x_d + t(x_{<d})\right) s(x_{<d})",
        "Densities of tables and points are wanted: of the flows here it bends the most.",
        "Images are wanted, or samples quickly: it draws number by number.",
    ),
    "fvsbn": Advice(
        r"p(x_i = 1 \mid x_{<i}) = \sigma\left(b_i + \sum_{j<i} w_{ij} x_j\right)",
        "The floor of autoregressive models is wanted: a linear one, quickly trained.",
        "Anything beyond linear dependence of small images has to be learned.",
    ),
    "nade": Advice(
        r"h_i = f\left(c + W_{<i} \, x_{<i}\right), \quad p(x_i \mid x_{<i}) = "
        r"p(x_i; b_i + V_i h_i)",
        "Small binary images or tables with gaps are to be learned exactly.",
        "Images have colours or more than some thousand numbers: it knows no neighbourhood.",
    ),
    "made": Advice(
        r"p(x) = \prod_i p(x_i \mid x_{<i}) \quad \text{in one pass of masked layers}",
        "An exact likelihood of points, tables or small images is wanted quickly.",
        "Images are large or in colour: its layers know no neighbourhood, and it draws number by "
        "number.",
    ),
    "pixelcnn": Advice(
        "",
        "Exact likelihoods of images are wanted from a small network: compression, completion, "
        "surprise, classification by Bayes' rule.",
        "Many images have to be drawn quickly, or codes are wanted; its context has a blind spot, "
        "which `gated-pixelcnn` has not.",
    ),
    "multiscale-pixelcnn": Advice(
        r"p(x) = p(x^{(1)}) \prod_s p(x^{(s+1)} \mid x^{(s)})",
        "The whole of an image is to be drawn before its details, with an exact likelihood.",
    ),
    "gated-pixelcnn": Advice(
        r"y = \tanh(W_f * x) \odot \sigma(W_g * x)",
        "The best likelihood for hours on a CPU is wanted: here it is the default choice among "
        "the autoregressive models.",
    ),
    "pixelcnn++": Advice(
        r"p(x_i) = \sum_k \pi_k \left[ \sigma\left(\frac{x_i + 1/2 - \mu_k}{s_k}\right) - "
        r"\sigma\left(\frac{x_i - 1/2 - \mu_k}{s_k}\right) \right]",
        "Images have 256 levels and colours: a mixture of logistics knows that levels are near "
        "one another.",
        "Images have 2 or 4 levels: take `gated-pixelcnn`. It draws pixel by pixel, and has no "
        "code.",
    ),
    "row-lstm": Advice(
        "",
        "Recurrent layers are to be compared with convolutions.",
        "Time matters: rows are worked through one after the other, in training as well.",
    ),
    "diagonal-bilstm": Advice(
        "",
        "A context of all earlier pixels is wanted in every layer, as in the paper.",
        "Time matters: it is the slowest to train of the autoregressive models here.",
    ),
    "image-transformer": Advice(
        r"\mathrm{softmax}\left(\frac{Q K^\top}{\sqrt{d}} + M\right) V",
        "Small images are to be learned with a context of all earlier pixels, by attention.",
        "Images are large: attention costs the square of the number of pixels.",
    ),
}
