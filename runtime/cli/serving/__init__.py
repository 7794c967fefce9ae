"""The commands that set up other ways to ask for restorations: over HTTP, on a Ray cluster, in Triton."""
