"""p_data / p_model by a discriminator, calibrated on held-out examples."""

from ptheta.tasks.ratio.calibration import (
    CALIBRATIONS,
    Calibration,
    Line,
    Slope,
    cross_fitted,
    fitted,
    isotone,
    slope_of,
)
from ptheta.tasks.ratio.find import Calibrated, Ratios, calibrated, ratio

__all__ = [
    "CALIBRATIONS",
    "Calibrated",
    "Calibration",
    "Line",
    "Ratios",
    "Slope",
    "calibrated",
    "cross_fitted",
    "fitted",
    "isotone",
    "ratio",
    "slope_of",
]
