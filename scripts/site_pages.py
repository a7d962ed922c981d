"""The pages of the site that are read off the package: what is not in docs/ is made here.

`python -m mkdocs build` calls it by `scripts/site_hook.py`; nothing of it is written to docs/.
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
# where more is said of a family
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
# pages of the guide that are sections of the README: file, title, section
README_PAGES: Mapping[str, tuple[str, str]] = {
    "guide/command-line.md": ("On the command line", "On the command line"),
    "guide/python.md": ("In Python", "In Python"),
    "guide/points.md": ("Points and tables", "Points and tables"),
    "guide/translation.md": ("From image to image", "From image to image"),
    "guide/captions.md": ("From text to an image", "From text to an image"),
    "guide/uses.md": ("Uses of a trained model", "Uses"),
    "own-data.md": ("Your own data", "Your own data"),
}
# what is given to training beside `--data`, by the kind of condition that a model asks for
DATA_OF: Mapping[str, str] = {
    "text": "shapes --condition text",
    "translation": "shapes --pairs grey",
}
DOMAINS = "day-night"  # data of unpaired domains


def model_file(name: str) -> str:
    return f"models/{name.replace('+', 'p')}.md"


def pages() -> dict[str, str]:
    """Every page that is made, by its place."""
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
    """The pages of models by family, as mkdocs wants its navigation."""
    families: dict[str, list[dict[str, str]]] = {}
    for name, entry in registry.models().items():
        families.setdefault(entry.family.capitalize(), []).append({name: model_file(name)})
    return [{family: models} for family, models in families.items()]


def graphs() -> dict[str, bytes]:
    """The picture of the variables of every model that says them."""
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
        f"## What it learns by\n\n```math\n{info['formula']}\n```" if info["formula"] else "",
        f"More in [{_title(family)}](../{family}).",
        f"## When to take it\n\n{info['use']}",
        f"## When not\n\n{info['avoid']}",
        f"## Commands\n\n```\n{commands_of(name, entry)}\n```",
        _pictures(name),
        f"## Recipes\n\n{_recipes(name, entry)}",
        f"## Measured\n\n{_measured(name)}",
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
        "stands at": ", ".join(info["place"]),
        "paper": _paper(info["paper"]),
        "learns": " and ".join(info["data"]),
        "can be given": "labels, attributes, captions or images" if info["conditional"] else "",
        "[uses](../uses.md)": ", ".join(f"`{one}`" for one in can),
    }


def _tasks(name: str) -> dict[str, str]:
    """Which uses a model has: yes, after fit, or no."""
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
    """What a model is trained on in an example: words behind `--data`."""
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
    """Training, and what is done with the run, as far as the model can."""
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
    said = "".join(f", {k}={v if v.isdigit() else repr(v)}" for k, v in words)
    return f'run = ptheta.train("{name}", "{data}", "runs/{name}"{said}, minutes=5)'


def _pictures(name: str) -> str:
    drawn = [
        f"## {picture.title}\n\n![{picture.title}](../images/gallery/{file}.png)\n\n"
        f"```\n{_lines(picture)}\n```"
        for file, picture in PICTURES.items()
        if picture.model == name and (GALLERY / f"{file}.png").exists()
    ]
    if _graph_of(name) is not None:
        drawn.append(
            f"## Its random variables\n\n![variables of {name}]({Path(_graph_file(name)).name})\n\n"
            "Shaded is what is observed; dashed arrows are those of inference. The picture is that "
            f"of\n\n```\nptheta models {name} --graph {name}.svg\n```"
        )
    return "\n\n".join(drawn)


def _recipes(name: str, entry: Listed) -> str:
    rows = [["recipe", "what it is", "settings"]]
    for recipe, said in entry.recipes().items():
        given = {**said["model"], **said.get("train", {}), **said.get("data", {})}
        flags = " ".join(_flag(key, value) for key, value in given.items())
        rows.append([f"`--recipe {recipe}`", _cell(said["about"]), f"`{flags}`" if flags else ""])
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
            "No benchmark of this repository that compares models has measured it yet; "
            "[the families, compared](../families.md) has those that were."
        )
    parts = []
    for one in found:
        rows = [["number", "value"], *map(list, one.rows)]
        parts.append(f"{one.what} (`{one.command}`):\n\n{markdown(rows)}")
    parts.append("What the numbers mean is in the [glossary](../glossary.md).")
    return "\n\n".join(parts)


def _options(name: str, entry: Listed) -> str:
    known = options(entry.load_config())
    rows = [["option", "default", "what it is"]]
    rows += [_option(opt) for opt in known.values() if opt.basic]
    more = f"`ptheta train {name} --help-all` has all {len(known)} options of the model"
    return f"{markdown(rows) if len(rows) > 1 else ''}\n\n{more}, and those of training."


def _option(opt: Option) -> list[str]:
    default = opt.default
    text = ",".join(map(str, words(default)))
    return [f"`--{opt.name.replace('_', '-')}`", f"`{text}`" if text else "", _cell(opt.help)]


# --- all models


def _models(found: Mapping[str, ModelInfo]) -> str:
    parts = [
        "# All models",
        f"{len(found)} models of {len({i['family'] for i in found.values()})} families; "
        "[which model for my question](../choosing.md) says which to take, and "
        "[the families, compared](../families.md) what each reached in the same time.",
    ]
    for family in dict.fromkeys(info["family"] for info in found.values()):
        rows = [["model", "what it is", "stands at", "paper"]]
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
        "Every picture is drawn by the commands under it, in an empty folder and on the embedded "
        "data; none was chosen among several. Trainings are short, one to some minutes of one "
        "core, and what is drawn is what a model gives soon.",
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
    """question; answer: in a sentence or two; task: whose models are listed; only: those at which
    place of the tree, or all"""

    question: str
    answer: str
    task: str
    only: str = ""


QUESTIONS = (
    Question(
        "I want to draw new examples, and nothing else",
        "Begin with `gan` or `dcgan` where sharp images matter, `vae` where minutes are few, and "
        "`mixture` or `maf` for tables and points. Compare by `ptheta compare`.",
        "sample",
    ),
    Question(
        "How likely is this example?",
        "Autoregressive models say it exactly, flows and mixtures give a density, or a bound of "
        "discrete data, and variational models a bound.",
        "density",
    ),
    Question(
        "Which examples are not like the others?",
        "`ptheta outliers` holds every score that a model can give against floors that need no "
        "model: look at the floors first.",
        "outliers",
    ),
    Question(
        "I want a code of few numbers for each example",
        "`ae` with the recipe `pca` is the floor; `vae` and `wae-mmd` give codes that can be drawn "
        "as well. `ptheta probe` says how much of the labels a code holds.",
        "encode",
    ),
    Question(
        "I want groups without labels",
        "`infogan` and `mixture` have categories of their own; of others the codes are clustered.",
        "cluster",
    ),
    Question(
        "Parts of my images are missing",
        "Autoregressive models draw several completions and know how likely each is; "
        "`context-gan` gives one, quickly.",
        "inpaint",
    ),
    Question(
        "Cells of my table are missing",
        "`gaussian` is a strong floor. `nade` with the recipe `table` and `iwae` with the recipe "
        "`table` learn from incomplete rows.",
        "impute",
    ),
    Question(
        "My images are noisy",
        "`dae` for noise that you can describe; `gaussian` is the floor.",
        "denoise",
    ),
    Question(
        "I want to carry images over from one domain to another",
        "`pix2pix` with pairs and one answer, `bicycle-gan` with pairs and many, and `cyclegan` "
        "without pairs.",
        "translate",
    ),
    Question(
        "I want to classify, and to know how sure that is",
        "A model that is told labels and has a likelihood classifies by Bayes' rule.",
        "classify",
    ),
    Question(
        "I want images in fewer bytes",
        "Autoregressive models compress without loss; the better the likelihood, the fewer bytes.",
        "compress",
    ),
    Question(
        "I want rows that may be given away in the place of my table",
        "`ptheta usefulness` says what samples are good for as training data; the number of copies "
        "says what they give away. `kde` gives away everything.",
        "usefulness",
    ),
    Question(
        "I want to watch a Markov chain",
        "`rbm` has Gibbs steps of an energy, `gsn` and `dae` chains without one.",
        "chain",
    ),
)


def _choosing(found: Mapping[str, ModelInfo]) -> str:
    tasks = _all_tasks()
    parts = [
        "# Which model for my question",
        "Each question is answered by a verb; the models under it are those that can, read off "
        "what they are. When to take one of them, and when not, is on its page.",
    ]
    for one in QUESTIONS:
        can = [name for name, said in tasks[one.task]["models"].items() if said != "no"]
        links = ", ".join(f"[`{name}`]({model_file(name)})" for name in can)
        parts.append(
            f"## {one.question}\n\n{one.answer}\n\n`ptheta {one.task}` "
            f"({TASKS[one.task].about}): {links}."
        )
    parts.append(_advised(found))
    return "\n\n".join(parts) + "\n"


def _advised(found: Mapping[str, ModelInfo]) -> str:
    rows = [["model", "take it when", "not when"]]
    for name, info in found.items():
        rows.append([f"[`{name}`]({model_file(name)})", info["use"], info["avoid"]])
    return f"## All models, when and when not\n\n{markdown(rows)}"


# --- words


def _glossary() -> str:
    words = sorted({**WORDS, **OF_REPORTS}.items(), key=lambda pair: pair[0].lower().strip("±( "))
    rows = [["term", "meaning"], *([term, _cell(meaning)] for term, meaning in words)]
    metrics = [["metric", "what it is", "better"]]
    for name, info in ptheta.list_metrics().items():
        metrics.append([f"`{name}`", _cell(info["about"]), info["better"] or ""])
    return (
        "# Glossary\n\n## Words\n\nThe same words mean the same in the code, on the command line, "
        f"in reports and here.\n\n{markdown(rows)}\n\n## Metrics\n\nX stands for the extractor; "
        "[what each number can and cannot see](evaluation.md) says more.\n\n"
        f"{markdown(metrics)}\n"
    )


# --- published numbers

PUBLISHED = re.compile(r"\d{4}$|^paper$|arXiv:|et al\.|\b(19|20)\d\d\b")


def _reproducing(found: Mapping[str, ModelInfo]) -> str:
    recipes = [["recipe", "what it is", "command"]]
    for name in found:
        entry = registry.entry(name)
        for recipe, said in entry.recipes().items():
            if PUBLISHED.search(recipe) or PUBLISHED.search(said["about"]):
                command = (
                    f"ptheta train {name} --data {data_of(entry, name)} --recipe {recipe} "
                    f"--out runs/{name.replace('+', 'p')}-{recipe}"
                )
                link = f"[`{name}`]({model_file(name)}), `{recipe}`"
                recipes.append([link, _cell(said["about"]), f"`{command}`"])
    benchmarks = [["what it measures", "command"]]
    for file in sorted((ROOT / "benchmarks").glob("[a-z]*.py")):
        about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if lines := commands(about):
            first = " ".join(about.partition("\n\n")[0].split())
            benchmarks.append([_cell(first), "<br>".join(f"`{_cell(one)}`" for one in lines)])
    return (
        "# Reproducing published numbers\n\n"
        "A recipe holds the settings of a paper, and its line says the number of the paper or the "
        "one that was reached here. The data in a command are an example: give the data of the "
        "paper by `--data` (`mnist`, `cifar10`, a folder). What a run is told beside is kept in "
        "its `config.json`; `ptheta evaluate RUN` gives each number with its error and its "
        "protocol, and the pages of the families say how far it is from the paper's.\n\n"
        f"## Recipes\n\n{markdown(recipes)}\n\n"
        "## Benchmarks\n\nThe tables of these pages come of the scripts in `benchmarks/`, run "
        "from a checkout; each writes its file in `benchmarks/results/`.\n\n"
        f"{markdown(benchmarks)}\n"
    )


# --- reference

MODULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "capabilities": ("What a model can do", ("ptheta.capabilities",)),
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
    """Pages of the reference: what `import ptheta` offers, and the modules that extend it."""
    names = [n for n in ptheta.__all__ if not isinstance(getattr(ptheta, n), ModuleType)]
    classes = [n for n in names if isinstance(getattr(ptheta, n), type)]
    verbs = [n for n in names if n not in classes]
    made = {
        "api/index.md": "# What `import ptheta` offers\n\n" + "\n\n".join(map(_object, verbs)),
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
