"""What the benchmarks measure on.

`datasets` are sets of blurred photographs, `bursts` of bursts, `motions` of photographs with known motion fields;
`drawings` are sharp drawn pictures; `photographs` makes blurred photographs of any size for timing; `models` loads the
model, or makes an untrained one.
"""
