"""Labels made from the CT itself know air, lung, soft tissue and bone apart."""

import numpy as np

from sr_engine.training.tissue import TISSUES, label_tissues


def test_a_box_of_tissue_holds_lung_a_vessel_and_a_rib():
    voxels = np.full((20, 80, 80), -1000, np.float32)
    voxels[:, 8:72, 8:72] = 40  # the body
    voxels[:, 20:60, 16:40] = -850  # a lung of 20 x 40 x 24 voxels of 8 mm3: 154 ml
    voxels[:, 30, 28] = 30  # a vessel in it
    voxels[:, 12:16, 50:60] = 700  # a rib
    voxels[:, 60:64, 50:60] = -900  # too small for lung: bowel gas
    labels = label_tissues(voxels, (2, 2, 2))
    names = np.array(TISSUES)[labels]
    assert set(names[:, 21:59, 17:39].ravel()) == {"lung"}
    assert names[10, 2, 2] == "air"
    assert names[10, 40, 50] == "soft tissue"
    assert names[10, 14, 55] == "bone"
    assert names[10, 62, 55] == "air"
    assert set(names[:, 18, 16:40].ravel()) == {"soft tissue"}


def test_air_that_reaches_the_border_is_no_lung():
    voxels = np.full((20, 80, 80), 40, np.float32)
    voxels[:, 20:60, :30] = -850
    assert not (label_tissues(voxels, (2, 2, 2)) == TISSUES.index("lung")).any()
