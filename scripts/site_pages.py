"""Pages of the documentation site that are generated from the package.

`python -m mkdocs build` calls this module (`scripts/site_hook.py`); nothing is written to docs/.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import ptheta
from ptheta.conditions import wanted
from ptheta.config import Option, options, words
from ptheta.models import registry
from ptheta.models.about import ModelInfo, graph_of
from ptheta.models.entries import Listed
from ptheta.report.glossary import ALWAYS as OF_REPORTS
from ptheta.report.glossary import WORDS
from ptheta.report.graphs import draw
from ptheta.tasks.matrix import TASKS
from scripts.draw_gallery import GALLERY, PICTURES, Picture
from scripts.measured import commands, measured
from scripts.seed_tables import markdown
from scripts.site_text import section, table

ROOT = Path(__file__).parent.parent
# the page of each family
FAMILY_PAGES: Mapping[str, str] = {
    "adversarial": "adversarial.md",
    "variational": "variational.md",
    "autoencoders": "variational.md",
    "hybrid": "variational.md",
    "matching": "matching.md",
    "translation": "translation.md",
    "text": "text.md",
    "energy": "energy.md",
    "mixtures": "mixtures.md",
    "flows": "flows.md",
    "diffusion": "diffusion.md",
    "autoregressive": "autoregressive.md",
}
# pages of the guide taken from sections of the README: file -> title, section
README_PAGES: Mapping[str, tuple[str, str]] = {
    "guide/command-line.md": ("Command line", "Command line"),
    "guide/python.md": ("Python API", "Python API"),
    "guide/points.md": ("Points and tables", "Points and tables"),
    "guide/translation.md": ("Image-to-image translation", "Image-to-image translation"),
    "guide/captions.md": ("Text to image", "Text to image"),
    "guide/uses.md": ("Tasks", "Tasks"),
    "own-data.md": ("Your own data", "Your own data"),
}
# arguments of `--data` in examples of conditional models, by family
DATA_OF: Mapping[str, str] = {
    "text": "shapes --condition text",
    "translation": "shapes --pairs grey",
}
DOMAINS = "day-night"  # data set with unpaired domains


def model_file(name: str) -> str:
    return f"models/{name.replace('+', 'p')}.md"


def pages() -> dict[str, str]:
    """All generated pages: path -> Markdown."""
    found = ptheta.list_models()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made = {model_file(name): _model(name, info) for name, info in found.items()}
    made["models/index.md"] = _models(found)
    made["gallery.md"] = _gallery()
    made["choosing.md"] = _choosing(found)
    made["glossary.md"] = _glossary()
    made["reproducing.md"] = _reproducing(found)
    for file, (title, part) in README_PAGES.items():
        up = "../" * file.count("/")
        text = section(readme, part).replace("](docs/", f"]({up}")
        made[file] = f"# {title}\n\n{text}\n"
    return made | api_pages()


def model_nav() -> list[dict[str, list[dict[str, str]]]]:
    """Navigation of the model pages by family, in the format of mkdocs."""
    families: dict[str, list[dict[str, str]]] = {}
    for name, entry in registry.models().items():
        families.setdefault(entry.family.capitalize(), []).append({name: model_file(name)})
    return [{family: models} for family, models in families.items()]


def graphs() -> dict[str, bytes]:
    """Graphical models as SVG: path -> bytes, for models that define `graph()`."""
    made = {}
    for name in registry.models():
        graph = _graph_of(name)
        if graph is not None:
            made[_graph_file(name)] = draw(graph, ".svg")
    return made


def _graph_file(name: str) -> str:
    return f"models/{name.replace('+', 'p')}-graph.svg"


# --- one model


def _model(name: str, info: ModelInfo) -> str:
    entry = registry.entry(name)
    family = FAMILY_PAGES[info["family"]]
    parts = [
        f"# {name}",
        f"{_sentence(info['about'])}",
        table(_facts(name, info)),
        f"## Training objective\n\n```math\n{info['formula']}\n```" if info["formula"] else "",
        f"See [{_title(family)}](../{family}) for details.",
        f"## When to use it\n\n{info['use']}",
        f"## When not to use it\n\n{info['avoid']}",
        f"## Commands\n\n```\n{commands_of(name, entry)}\n```",
        _pictures(name),
        f"## Recipes\n\n{_recipes(name, entry)}",
        f"## Results\n\n{_measured(name)}",
        f"## Options\n\n{_options(name, entry)}",
        f"## In Python\n\n```python\nimport ptheta\n\n{_python(name, entry)}\n```",
        f"The class is `{entry.load_model().__module__}.{entry.load_model().__name__}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(name: str, info: ModelInfo) -> dict[str, str]:
    tasks = _tasks(name)
    can = [t if c == "yes" else f"{t} ({c})" for t, c in tasks.items() if c != "no"]
    return {
        "family": info["family"],
        "density": ", ".join(info["place"]),
        "paper": _paper(info["paper"]),
        "data": " and ".join(info["data"]),
        "conditions": "labels, attributes, captions or images" if info["conditional"] else "",
        "[tasks](../uses.md)": ", ".join(f"`{one}`" for one in can),
    }


def _tasks(name: str) -> dict[str, str]:
    """Support of a model for each task: yes, after fit, or no."""
    return {task: row["models"][name] for task, row in _all_tasks().items()}


_all_tasks = cache(ptheta.list_tasks)
_graph_of = cache(graph_of)


def _paper(paper: str) -> str:
    number = paper.removeprefix("arXiv:")
    return f"[{paper}](https://arxiv.org/abs/{number})" if number != paper else paper


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _title(page: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.partition("\n")[0].removeprefix("# ")


def data_of(entry: Listed, name: str) -> str:
    """Arguments of `--data` in the examples of a model."""
    config = entry.load_config()()
    if entry.family == "text":
        return DATA_OF["text"]
    if entry.family == "translation":
        kind = wanted(config)
        return _translation(kind, name)
    levels = " --levels 2" if name == "rbm" else ""
    return f"digits{levels} --condition labels" if wanted(config) else f"digits{levels}"


def _translation(kind: object, name: str) -> str:
    if name == "cyclegan":
        return DOMAINS
    return DATA_OF["translation"] if kind else "shapes"


def commands_of(name: str, entry: Listed) -> str:
    """Example commands: training, and the tasks that the model supports."""
    run = f"runs/{name}"
    can = _tasks(name)
    lines = [f"ptheta train {name} --data {data_of(entry, name)} --minutes 5 --out {run}"]
    if can["sample"] == "after fit":
        lines.append(f"ptheta fit {run}")
    if can["sample"] != "no":
        lines.append(f"ptheta sample {run} --out {name}.png")
    if can["translate"] == "yes":
        lines.append(f"ptheta translate {run} --out {name}-translated.png")
    if can["inpaint"] == "yes":
        lines.append(f"ptheta inpaint {run} --known upper --out {name}-completed.png")
    lines += [f"ptheta evaluate {run}", f"ptheta models {name} --graph {name}.svg"]
    return "\n".join(lines)


def _python(name: str, entry: Listed) -> str:
    data, *more = data_of(entry, name).split(" --")
    words = [one.split(" ") for one in more]
    options_text = "".join(f", {k}={v if v.isdigit() else repr(v)}" for k, v in words)
    return f'run = ptheta.train("{name}", "{data}", "runs/{name}"{options_text}, minutes=5)'


def _pictures(name: str) -> str:
    drawn = [
        f"## {picture.title}\n\n![{picture.title}](../images/gallery/{file}.png)\n\n"
        f"```\n{_lines(picture)}\n```"
        for file, picture in PICTURES.items()
        if picture.model == name and (GALLERY / f"{file}.png").exists()
    ]
    if _graph_of(name) is not None:
        drawn.append(
            f"## Graphical model\n\n![variables of {name}]({Path(_graph_file(name)).name})\n\n"
            "Observed variables are shaded; dashed arrows belong to the inference model. "
            f"Created by\n\n```\nptheta models {name} --graph {name}.svg\n```"
        )
    return "\n\n".join(drawn)


def _recipes(name: str, entry: Listed) -> str:
    rows = [["recipe", "description", "settings"]]
    for recipe, settings in entry.recipes().items():
        given = {**settings["model"], **settings.get("train", {}), **settings.get("data", {})}
        flags = " ".join(_flag(key, value) for key, value in given.items())
        rows.append(
            [f"`--recipe {recipe}`", _cell(settings["about"]), f"`{flags}`" if flags else ""]
        )
    return markdown(rows)


def _flag(name: str, value: object) -> str:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag} {','.join(map(str, words(value)))}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _measured(name: str) -> str:
    found = measured(name)
    if not found:
        return (
            "This model is not part of the model comparisons yet; see the "
            "[comparison of the families](../families.md)."
        )
    parts = []
    for one in found:
        rows = [["metric", "value"], *map(list, one.rows)]
        parts.append(f"{one.what} (`{one.command}`):\n\n{markdown(rows)}")
    parts.append("The [glossary](../glossary.md) explains the metrics.")
    return "\n\n".join(parts)


def _options(name: str, entry: Listed) -> str:
    known = options(entry.load_config())
    rows = [["option", "default", "description"]]
    rows += [_option(opt) for opt in known.values() if opt.basic]
    more = f"`ptheta train {name} --help-all` lists all {len(known)} options of the model"
    return f"{markdown(rows) if len(rows) > 1 else ''}\n\n{more} and the training options."


def _option(opt: Option) -> list[str]:
    default = opt.default
    text = ",".join(map(str, words(default)))
    return [f"`--{opt.name.replace('_', '-')}`", f"`{text}`" if text else "", _cell(opt.help)]


# --- all models


def _models(found: Mapping[str, ModelInfo]) -> str:
    parts = [
        "# All models",
        f"{len(found)} models of {len({i['family'] for i in found.values()})} families; "
        "[choosing a model](../choosing.md) helps to select one, and the "
        "[comparison of the families](../families.md) shows results after equal training time.",
    ]
    for family in dict.fromkeys(info["family"] for info in found.values()):
        rows = [["model", "description", "density", "paper"]]
        for name, info in found.items():
            if info["family"] == family:
                link = f"[`{name}`]({Path(model_file(name)).name})"
                where = ", ".join(info["place"])
                rows.append([link, info["about"], where, _paper(info["paper"])])
        page = FAMILY_PAGES[family]
        parts.append(f"## {family.capitalize()}\n\n{markdown(rows)}\n\n[{_title(page)}](../{page})")
    return "\n\n".join(parts) + "\n"


def _gallery() -> str:
    parts = [
        "# Gallery",
        "Each figure was created by the commands below it, in an empty folder with the embedded "
        "data, and is uncurated. Training took one to a few minutes on one core, so the figures "
        "show early results.",
    ]
    for name, picture in PICTURES.items():
        if (GALLERY / f"{name}.png").exists():
            parts.append(
                f"## {picture.title}\n\n![{picture.title}](images/gallery/{name}.png)\n\n"
                f"```\n{_lines(picture)}\n```\n\n[`{picture.model}`]({model_file(picture.model)})"
            )
    return "\n\n".join(parts) + "\n"


def _lines(picture: Picture) -> str:
    return "\n".join(picture.commands)


# --- which model


class Question(NamedTuple):
    """One question of the page on choosing a model.

    question: the heading; answer: one or two sentences; task: the command whose models are listed;
    only: restrict the models to a branch of the taxonomy
    """

    question: str
    answer: str
    task: str
    only: str = ""


QUESTIONS = (
    Question(
        "Which model should I use to generate new examples?",
        "Start with `gan` or `dcgan` for sharp images, `vae` for short training, and "
        "`mixture` or `maf` for tables and points. Compare them with `ptheta compare`.",
        "sample",
    ),
    Question(
        "How likely is this example?",
        "Autoregressive models compute the exact likelihood, flows and mixtures a density (or a "
        "bound for discrete data), and variational models a bound.",
        "density",
    ),
    Question(
        "Which examples are outliers?",
        "`ptheta outliers` compares every score that a model supports with floors (baselines) "
        "that need no model: look at the floors first.",
        "outliers",
    ),
    Question(
        "How can I encode examples as low-dimensional codes?",
        "`ae` with the recipe `pca` is the baseline; `vae` and `wae-mmd` have a prior for sampling "
        "codes as well. `ptheta probe` measures how well codes predict labels.",
        "encode",
    ),
    Question(
        "How can I cluster examples without labels?",
        "`infogan` and `mixture` have a categorical code; otherwise the codes are clustered.",
        "cluster",
    ),
    Question(
        "How can I fill in missing parts of images?",
        "Autoregressive models sample several completions and compute their likelihoods; "
        "`context-gan` gives a single one, quickly.",
        "inpaint",
    ),
    Question(
        "How can I impute missing cells of a table?",
        "`gaussian` is a strong baseline. `nade` and `iwae`, with the recipe `table`, "
        "can be trained on incomplete rows.",
        "impute",
    ),
    Question(
        "How can I denoise images?",
        "`dae` for known types of noise; `gaussian` is the baseline.",
        "denoise",
    ),
    Question(
        "How can I translate images from one domain to another?",
        "`pix2pix` for pairs and a single output, `bicycle-gan` for pairs and several outputs, and "
        "`cyclegan` for unpaired data.",
        "translate",
    ),
    Question(
        "How can I classify with calibrated probabilities?",
        "A class-conditional model with a likelihood classifies by Bayes' rule.",
        "classify",
    ),
    Question(
        "How can I compress images without loss?",
        "Use an autoregressive model; the better the likelihood, the smaller the file.",
        "compress",
    ),
    Question(
        "How can I create synthetic rows to share instead of my table?",
        "`ptheta usefulness` evaluates samples as training data and counts copies of training "
        "rows. Do not use `kde`, whose samples are noisy copies.",
        "usefulness",
    ),
    Question(
        "How can I study a Markov chain?",
        "`rbm` uses Gibbs sampling of an energy; `gsn` and `dae` have chains without an energy.",
        "chain",
    ),
)


def _choosing(found: Mapping[str, ModelInfo]) -> str:
    tasks = _all_tasks()
    parts = [
        "# Choosing a model",
        "Each question lists a command and the models that support it, generated from their "
        "capabilities. The page of a model explains when to use it and when not.",
    ]
    for one in QUESTIONS:
        can = [name for name, support in tasks[one.task]["models"].items() if support != "no"]
        links = ", ".join(f"[`{name}`]({model_file(name)})" for name in can)
        parts.append(
            f"## {one.question}\n\n{one.answer}\n\n`ptheta {one.task}` "
            f"({TASKS[one.task].about}): {links}."
        )
    parts.append(_advised(found))
    return "\n\n".join(parts) + "\n"


def _advised(found: Mapping[str, ModelInfo]) -> str:
    rows = [["model", "when to use it", "when not to use it"]]
    for name, info in found.items():
        rows.append([f"[`{name}`]({model_file(name)})", info["use"], info["avoid"]])
    return f"## Advice for all models\n\n{markdown(rows)}"


# --- words


def _glossary() -> str:
    words = sorted({**WORDS, **OF_REPORTS}.items(), key=lambda pair: pair[0].lower().strip("±( "))
    rows = [["term", "meaning"], *([term, _cell(meaning)] for term, meaning in words)]
    metrics = [["metric", "definition", "better"]]
    for name, info in ptheta.list_metrics().items():
        metrics.append([f"`{name}`", _cell(info["about"]), info["better"] or ""])
    return (
        "# Glossary\n\n## Terms\n\nThese terms are used in the code, on the command line and in "
        f"reports.\n\n{markdown(rows)}\n\n## Metrics\n\nX is the feature extractor; see "
        "[evaluation metrics](evaluation.md) for details.\n\n"
        f"{markdown(metrics)}\n"
    )


# --- published numbers

PUBLISHED = re.compile(r"\d{4}$|^paper$|arXiv:|et al\.|\b(19|20)\d\d\b")


def _reproducing(found: Mapping[str, ModelInfo]) -> str:
    recipes = [["recipe", "description", "command"]]
    for name in found:
        entry = registry.entry(name)
        for recipe, settings in entry.recipes().items():
            if PUBLISHED.search(recipe) or PUBLISHED.search(settings["about"]):
                command = (
                    f"ptheta train {name} --data {data_of(entry, name)} --recipe {recipe} "
                    f"--out runs/{name.replace('+', 'p')}-{recipe}"
                )
                link = f"[`{name}`]({model_file(name)}), `{recipe}`"
                recipes.append([link, _cell(settings["about"]), f"`{command}`"])
    benchmarks = [["benchmark", "command"]]
    for file in sorted((ROOT / "benchmarks").glob("[a-z]*.py")):
        about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if lines := commands(about):
            first = " ".join(about.partition("\n\n")[0].split())
            benchmarks.append([_cell(first), "<br>".join(f"`{_cell(one)}`" for one in lines)])
    return (
        "# Reproducing published results\n\n"
        "A recipe contains the settings of a paper; its description gives the published result or "
        "the one that ptheta reached. The data in the commands are examples: pass the data of the "
        "paper with `--data` (`mnist`, `cifar10`, a folder). All other settings of a run are in "
        "its `config.json`. `ptheta evaluate RUN` reports each result with its error and "
        "protocol; the pages of the families compare them with the papers.\n\n"
        f"## Recipes\n\n{markdown(recipes)}\n\n"
        "## Benchmarks\n\nThe tables of these pages are computed by scripts in `benchmarks/`, run "
        "from a clone; each writes its results to `benchmarks/results/`.\n\n"
        f"{markdown(benchmarks)}\n"
    )


# --- reference

MODULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "capabilities": ("Capabilities", ("ptheta.capabilities",)),
    "models": (
        "Models, games and players",
        ("ptheta.models.base", "ptheta.games", "ptheta.models.graph", "ptheta.models.own"),
    ),
    "data": (
        "Specs, conditions and batches",
        ("ptheta.specs", "ptheta.conditions", "ptheta.batch", "ptheta.config"),
    ),
    "training": ("Callbacks and dynamics", ("ptheta.callbacks", "ptheta.dynamics")),
    "losses": (
        "Losses and penalties",
        ("ptheta.losses.adversarial", "ptheta.losses.penalties", "ptheta.losses.mmd"),
    ),
    "measures": (
        "Measures",
        (
            "ptheta.measures.frechet",
            "ptheta.measures.prdc",
            "ptheta.measures.mmd",
            "ptheta.measures.chains",
            "ptheta.measures.intervals",
        ),
    ),
}


def api_pages() -> dict[str, str]:
    """API reference pages: the public names of `ptheta`, and the modules for extensions."""
    names = [n for n in ptheta.__all__ if not isinstance(getattr(ptheta, n), ModuleType)]
    classes = [n for n in names if isinstance(getattr(ptheta, n), type)]
    verbs = [n for n in names if n not in classes]
    made = {
        "api/index.md": "# Functions\n\n" + "\n\n".join(map(_object, verbs)),
        "api/types.md": "# Types\n\n" + "\n\n".join(map(_object, classes)),
    }
    for file, (title, modules) in MODULES.items():
        blocks = "\n\n".join(f"::: {module}" for module in modules)
        made[f"api/{file}.md"] = f"# {title}\n\n{blocks}\n"
    return made


def _object(name: str) -> str:
    found = getattr(ptheta, name)
    return (
        f"::: {found.__module__}.{found.__qualname__}\n    options:\n"
        f"      heading: ptheta.{name}\n      toc_label: {name}\n"
    )
