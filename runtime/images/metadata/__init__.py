"""Metadata of image files: read, kept true, and written again.

* `png`, `jpeg`, `webp`, `tiff`: what the containers hold, read into a `Header` and written from one.
* `directories`: directories of TIFF and EXIF. `photoshop`: image resources and IPTC. `xmp`: edits of XMP packets.
* `exif`: edits of EXIF blocks. `resolution`: pixels per inch in the units of each format.
* `upright`: what a rotation changes. `transfer`: what a format can hold, and the names of what it cannot.
"""
