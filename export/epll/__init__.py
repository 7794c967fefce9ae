"""The mixture of Gaussians that EPLL takes for its prior."""
