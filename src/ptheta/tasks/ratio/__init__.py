"""p_data / p_model by a discriminator, calibrated on examples that it has not seen."""

from ptheta.tasks.ratio.calibration import Line, Slope, cross_fitted, fitted, slope_of
from ptheta.tasks.ratio.find import Calibrated, Ratios, calibrated, ratio

__all__ = [
    "Calibrated",
    "Line",
    "Ratios",
    "Slope",
    "calibrated",
    "cross_fitted",
    "fitted",
    "ratio",
    "slope_of",
]
