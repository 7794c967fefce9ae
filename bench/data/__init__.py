"""What is measured on: photographs, sets of blurred ones, bursts, motions, and untrained models."""
