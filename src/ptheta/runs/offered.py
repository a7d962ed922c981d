"""Options that do not apply to a model and are omitted from its help."""

from __future__ import annotations

from ptheta.capabilities import HasBound
from ptheta.conditions import Conditional
from ptheta.models import registry
from ptheta.models.base import Model
from ptheta.specs import ImageSpec, VectorSpec
from ptheta.training.settings import OF_KL

OF_PAIRS = (
    *("pairs", "input_column", "reverse", "pair_strength", "label_maps", "label_colours"),
    "domain_columns",
)
PARTS = ("data", "train")
OF_TABLES = ("columns", "category_columns")
OF_IMAGES = ("levels", "dynamic", "size", "channels", "max_broken", "white", "image_column")


def needless(name: str) -> frozenset[str]:
    """The data and training options that do not apply to model `name`.

    Empty for external models that do not declare them.
    """
    entry = registry.entry(name)
    model, config = entry.load_model(), entry.load_config()
    if not issubclass(model, Model):
        return frozenset()
    rules = (
        (issubclass(config, Conditional), OF_PAIRS),
        (VectorSpec in model.specs, OF_TABLES),
        (ImageSpec in model.specs, OF_IMAGES),
        (issubclass(model, HasBound), OF_KL),
    )
    recipes = entry.recipes().values()
    used = {name for recipe in recipes for part in PARTS for name in recipe.get(part, {})}
    return frozenset(name for has_use, names in rules if not has_use for name in names) - used
