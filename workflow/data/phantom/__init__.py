"""Phantom sources: made-up scans in the raw layouts of RETOUCH and ISIC 2017.

The default demonstration has no access to real data. These modules write volumes and images
that look like optical coherence tomography and dermoscopy, in exactly the folders, archives and
file formats of the two challenges, so that the ordinary readers treat them like real downloads.
No number measured on phantoms says anything about patients.
"""

from workflow.data.phantom.retina import write_retouch
from workflow.data.phantom.skin import write_isic2017

__all__ = ["write_isic2017", "write_retouch"]
