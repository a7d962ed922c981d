"""Networks: backbones without losses."""
