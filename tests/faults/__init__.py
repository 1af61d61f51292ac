"""Faults: kill, cut or starve a running part, then check that nothing was lost and nothing was done twice."""
