"""What `thinslice show` says of a result's figures."""

from worker.cli.figures import figure_lines

FIGURES = {
    "model": "TVSRN-V2", "spacing_mm": 1.0, "seconds": 12.5, "doubts": ["pixel spacing 3 mm lies outside"],
    "check": {
        "mean_offset_hu": 0.1, "rms_error_hu": 0.2, "network_rms_hu": 6.6, "minimum_hu": -1024.0, "maximum_hu": 1800.4,
        "beyond_range_percent": 0.01, "beyond_neighbours_percent": 0.2, "max_slice_shift_hu": 4.4, "window_seam": 1.04,
        "tile_seam": None,
    },
}  # fmt: skip


def test_every_figure_that_can_hold_a_result_is_shown():
    made, back, found, doubt = figure_lines(FIGURES)
    assert made == "TVSRN-V2, 1.0 mm, 12.5 s"
    assert back == "averaged back: mean offset +0.10 HU, RMS 0.2 HU (6.6 HU before data consistency)"
    assert found == (
        "-1024 to 1800 HU; 0.010 % beyond the source's range; 0.200 % far beyond their thick neighbours; "
        "slice means at most 4.4 HU beyond their neighbours'; steps at windows 1.04 times the others"
    )
    assert doubt == "unfamiliar: pixel spacing 3 mm lies outside"


def test_a_result_of_an_earlier_version_is_shown_as_far_as_it_is_known():
    check = {"mean_offset_hu": 0.1, "rms_error_hu": 0.2}
    assert list(figure_lines({"model": "Cubic", "spacing_mm": 1.0, "seconds": 3, "check": check})) == [
        "Cubic, 1.0 mm, 3 s",
        "averaged back: mean offset +0.10 HU, RMS 0.2 HU",
    ]
