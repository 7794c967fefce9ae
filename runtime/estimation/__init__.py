"""What blurred a photograph, estimated from the photograph: one kernel, the poses of a camera, a motion at each pixel."""
