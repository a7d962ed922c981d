"""A linear classifier of codes, by scikit-learn."""

from __future__ import annotations

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


def logistic() -> Pipeline:
    """An unfitted logistic regression on standardised inputs."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


def logistic_accuracy(x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor) -> float:
    """Accuracy on test codes (M, L) of a logistic regression on standardised codes (N, L). The
    penalty is chosen by 3-fold cross-validation if every class has at least three examples."""
    model = logistic()
    if int(torch.bincount(y).min()) >= 3 and len(y) <= 5000:
        penalties = {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
        model = GridSearchCV(model, penalties, cv=3)
    model.fit(x.numpy(), y.numpy())
    return float(model.score(test_x.numpy(), test_y.numpy()))
