"""Made-up scans in the raw layouts of RETOUCH and ISIC 2017, for the demonstration.

In go a seed and a number of cases; out come volumes and photographs that look like optical
coherence tomography and dermoscopy, in exactly the folders, archives and file formats of the two
challenges, so that the ordinary readers take them for downloads. No number measured on them says
anything about patients. Open `retina.py` or `skin.py` first; the anatomy and the optics are beside.
"""

from workflow.data.phantom.retina import write_retouch
from workflow.data.phantom.skin import write_isic2017

__all__ = ["write_isic2017", "write_retouch"]
