"""Non-blind deconvolution by several solvers and formulations."""
