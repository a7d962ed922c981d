"""The theory lab: pages that compute now what the theory of generative models states.

`ptheta learn NAME --out page.html` makes one. Each page is a function in `lab/pages/` that returns
a `Page` (`lab/parts.py`); `lab/table.py` lists them.
"""
