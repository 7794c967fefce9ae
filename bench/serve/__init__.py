"""Load and faults: what serving does while its parts are killed."""
