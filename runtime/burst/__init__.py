"""The frames of a burst: opened, aligned, brought to the device, and run through a burst network."""
