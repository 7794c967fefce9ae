"""Networks at work: bundles, sessions, devices, the patch engine, progress, and what works on this machine."""
