"""From received instances to proven stacks and their pixels: headers, stacks, geometry, eligibility, voxels."""
